"""Translate in, call, translate out."""
