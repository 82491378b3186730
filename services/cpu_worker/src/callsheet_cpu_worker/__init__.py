"""The CPU worker: scans, checks and thumbnails."""
