"""The runtime that every worker runs on."""
