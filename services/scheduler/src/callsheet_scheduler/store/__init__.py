"""The only door to PostgreSQL: one method per statement."""
