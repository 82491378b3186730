"""What every service process needs."""
