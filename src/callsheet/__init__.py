"""Callsheet: a media job queue."""
