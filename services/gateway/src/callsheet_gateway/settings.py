"""The gateway's settings."""

from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator

from callsheet.service.settings import RootSettings, SchedulerClientSettings

PORT_MAX = 65_535


class GatewaySettings(SchedulerClientSettings):
    """Where to listen, who may come in, and how much one request may take."""

    listen: str = "127.0.0.1:8080"
    """The REST address, host:port; port 0 takes a free one."""
    port_file: Path | None = None
    """Where to write the bound port once REST answers."""
    admin_token_file: Path = Path("var/admin-token")
    """A file with the bearer token of the administrator, at least 32 characters of ASCII, mode 0600."""
    default_root: str = "library"
    """The root that a relative file_path without a root's name lies in."""
    body_bytes_max: int = Field(default=1024 * 1024, ge=1024, le=64 * 1024 * 1024)
    """The longest request body; a longer one is answered 413."""
    head_bytes_max: int = Field(default=32 * 1024, ge=1024, le=1024 * 1024)
    """The longest request line and headers together; longer ones are answered 400."""
    head_deadline_s: float = Field(default=10.0, ge=0.1, le=600.0)
    """How long the first request of a connection may take to arrive; then the connection is closed."""
    request_deadline_s: float = Field(default=30.0, ge=0.1, le=600.0)
    """How long one request may take until its answer begins; then it is answered 503."""
    scheduler_patience_s: float = Field(default=5.0, ge=0.0, le=60.0)
    """How long a call to the scheduler is repeated that gets no answer; then the request is answered 503."""
    miss_wait_s: float = Field(default=20.0, ge=0.1, le=120.0)
    """How long a request for metadata or a thumbnail that is not cached waits until it is made."""
    misses_max: int = Field(default=256, ge=1, le=10_000)
    """Different things that may be in the making for waiting requests at once; more are answered 429."""
    views_told_s: float = Field(default=10.0, ge=0.01, le=3600.0)
    """Seconds between two notes to the scheduler of what was looked at, which is cached first."""
    picture_bytes_max: int = Field(default=32 * 1024 * 1024, ge=1024)
    """The longest derivative that is served."""
    picture_fresh_s: int = Field(default=60, ge=0, le=31_536_000)
    """How long a client may show a picture again without asking whether it is still the same."""
    connections_max: int = Field(default=1000, ge=1, le=100_000)
    """Connections at once; more are answered 503."""

    @field_validator("listen")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not (port.isascii() and port.isdecimal()) or int(port) > PORT_MAX:
            raise ValueError(f"must be host:port with a port from 0 to {PORT_MAX}, such as 127.0.0.1:8080")
        return value

    @field_validator("miss_wait_s")
    @classmethod
    def _ends_within_the_request(cls, value: float, info: ValidationInfo) -> float:
        if value >= info.data.get("request_deadline_s", value + 1):
            raise ValueError("must be less than CALLSHEET_REQUEST_DEADLINE_S")
        return value

    @property
    def address(self) -> tuple[str, int]:
        """Host, without the brackets of IPv6, and port."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    def folders(self) -> dict[str, Path | None]:
        """Return the folder of each root; None for a bucket."""
        return {
            name: root.path if isinstance(root, RootSettings) else None for name, root in self.roots.items()
        }
