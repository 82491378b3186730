"""The GPU worker: encoding and inference."""

from callsheet.worker import never_fork

never_fork()
