"""Other queues on PostgreSQL that ours is measured beside."""
