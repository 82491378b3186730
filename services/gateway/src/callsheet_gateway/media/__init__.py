"""Bytes of originals and of their pictures on their way to a client."""
