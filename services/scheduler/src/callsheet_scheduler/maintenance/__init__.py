"""What happens by itself from time to time."""
