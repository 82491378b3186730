"""What the settings of every service share. Each setting is an environment variable ``CALLSHEET_…``."""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_BUCKET_URL: Final = r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^/\x00-\x1f]+)*/?"
_ADDRESS: Final = r"https?://[^\s/?#@]+(/[^\s?#]*)?"


class RootSettings(BaseModel):
    """One named root: a folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path
    """An absolute path of the folder."""
    writable: bool = False
    """Whether jobs may write into it."""


class BucketSettings(BaseModel):
    """One named root: a bucket of an S3-compatible server, or a part of one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(pattern=f"^{_BUCKET_URL}$")
    """s3://bucket, or s3://bucket/prefix for what lies below a prefix."""
    writable: bool = False
    """Whether jobs may write into it."""
    endpoint: str = Field(default="", pattern=f"^({_ADDRESS})?$")
    """The server's address, such as https://s3.example.org; empty for that of AWS in the region."""
    region: str = Field(default="us-east-1", pattern="^[a-z0-9-]{1,64}$")
    """The region that requests are signed for."""
    addressing: Literal["path", "host"] = "path"
    """Whether the bucket is named in the path of a request or in its host."""
    credentials_file: Path | None = None
    """A file as AWS tools have it, with aws_access_key_id, aws_secret_access_key and perhaps
    aws_session_token; read again when it changes. Without it the variables AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN."""
    profile: str = "default"
    """The section of that file."""
    anonymous: bool = False
    """Whether requests are not signed, as for a bucket that everybody may read."""
    public_url: str = Field(default="", pattern=f"^({_ADDRESS})?$")
    """Where clients find what lies in the root without credentials; what was made of items is then shown
    with an address below it."""
    presign_s: int = Field(default=0, ge=0, le=604_800)
    """For how many seconds an address is good that is signed with the root's credentials and shown with
    what was made of items; 0 to show none."""

    @field_validator("url", "endpoint", "public_url")
    @classmethod
    def _has_no_slash_at_its_end(cls, value: str) -> str:
        return value.rstrip("/")

    @field_validator("url")
    @classmethod
    def _leads_nowhere_else(cls, value: str) -> str:
        if {".", ".."} & set(value.split("/")):
            raise ValueError("must not hold '.' or '..' between its slashes")
        return value

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.url.split("/")[2]

    @property
    def prefix(self) -> str:
        """What all keys begin with: empty, or ending in a slash."""
        below = self.url.split("/", 3)[3:]
        return f"{below[0]}/" if below else ""


def _root_kind(given: object) -> str:
    has_url = "url" in given if isinstance(given, dict) else isinstance(given, BucketSettings)
    return "bucket" if has_url else "folder"


AnyRootSettings = Annotated[
    Annotated[RootSettings, Tag("folder")] | Annotated[BucketSettings, Tag("bucket")],
    Discriminator(_root_kind),
]
"""A root of either kind: one with a ``url`` is a bucket."""


class ServiceSettings(BaseSettings):
    """The base of every service's settings."""

    model_config = SettingsConfigDict(env_prefix="CALLSHEET_", extra="ignore", frozen=True)

    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    """The least severe messages that are written: debug, info, warning or error."""
    join_token_file: Path | None = None
    """A file with the token that services and workers show one another. Without it and without TLS gRPC is
    open, and the scheduler then refuses to listen beyond loopback."""
    tls_dir: Path | None = None
    """A folder with ca.crt, tls.crt and tls.key, as `callsheet certs issue` makes one; read again when they
    change. With it gRPC is TLS 1.3 with a certificate on both sides, without it plain."""
    ops_port: int = Field(default=0, ge=0, le=65535)
    """The port of /livez, /readyz and /metrics; 0 to take a free one, printed in the log."""
    ops_host: str = Field(default="127.0.0.1", pattern=r"^[0-9A-Fa-f.:]+$")
    """The address of that port. It knows no credentials: where others reach it, as in a container, let only
    probes and Prometheus through."""


class SchedulerClientSettings(ServiceSettings):
    """The base for services that speak with the scheduler."""

    scheduler: str = "127.0.0.1:7420"
    """The scheduler's gRPC address, host:port; several separated by commas. One that stands by says where
    the leader is."""
    roots: dict[str, AnyRootSettings] = Field(default_factory=dict[str, AnyRootSettings])
    """The named roots that this process reaches, a JSON object: {"library": {"path": "/media"}}; a bucket as
    {"url": "s3://bucket/prefix", "endpoint": "https://s3.example.org"}."""
