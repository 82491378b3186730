"""The CPU worker: scans, checks and thumbnails."""

from callsheet.worker import never_fork

never_fork()
