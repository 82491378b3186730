"""Roots of files, be they folders or buckets: read by descriptor, written aside, published whole."""
