"""The gateway's settings."""

from pathlib import Path

from pydantic import Field

from callsheet.service.settings import SchedulerClientSettings


class GatewaySettings(SchedulerClientSettings):
    """Where to listen, and who may come in."""

    listen: str = "127.0.0.1:8080"
    """The REST address, host:port."""
    admin_token_file: Path
    """A file with the bearer token of the administrator, at least 32 characters."""
    body_bytes_max: int = Field(default=1024 * 1024, ge=1024)
    """The longest request body; a longer one is answered 413."""
    miss_wait_s: float = Field(default=20.0, ge=0.1, le=120.0)
    """How long a request for metadata or a thumbnail that is not cached waits until it is made."""
