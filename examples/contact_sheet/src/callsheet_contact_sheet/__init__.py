"""A job type for Callsheet that somebody else could have written."""
