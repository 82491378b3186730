"""What the settings of every service share. Each setting is an environment variable ``CALLSHEET_…``."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class RootSettings(BaseModel):
    """One named root: a folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path
    """An absolute path of the folder."""
    writable: bool = False
    """Whether jobs may write into it."""


class ServiceSettings(BaseSettings):
    """The base of every service's settings."""

    model_config = SettingsConfigDict(env_prefix="CALLSHEET_", extra="ignore", frozen=True)

    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    """The least severe messages that are written: debug, info, warning or error."""
    join_token_file: Path | None = None
    """A file with the token that services and workers show one another. Without it gRPC is open, and
    the scheduler then refuses to listen beyond loopback."""
    ops_port: int = Field(default=0, ge=0, le=65535)
    """The port of /livez, /readyz and /metrics on loopback; 0 to take a free one, printed in the log."""


class SchedulerClientSettings(ServiceSettings):
    """The base for services that speak with the scheduler."""

    scheduler: str = "127.0.0.1:7420"
    """The scheduler's gRPC address, host:port; several separated by commas. One that stands by says where
    the leader is."""
    roots: dict[str, RootSettings] = Field(default_factory=dict)
    """The named roots that this process reaches, a JSON object: {"library": {"path": "/media"}}."""
