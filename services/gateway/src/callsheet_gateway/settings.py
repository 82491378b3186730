"""The gateway's settings."""

from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator

from callsheet.service.settings import RootSettings, SchedulerClientSettings
from callsheet_gateway.access.auth import RoleName
from callsheet_gateway.access.issuer import FAMILIES, is_private_way
from callsheet_gateway.access.peers import parse_networks

PORT_MAX = 65_535


class GatewaySettings(SchedulerClientSettings):
    """Where to listen, who may come in, and how much one request may take."""

    listen: str = "127.0.0.1:8080"
    """The REST address, host:port; port 0 takes a free one."""
    port_file: Path | None = None
    """Where to write the bound port once REST answers."""
    admin_token_file: Path = Path("var/admin-token")
    """A file with the bearer token of the administrator, at least 32 characters of ASCII, mode 0600."""
    session_secret_file: Path | None = None
    """A file with at least 32 characters that sessions of the page are sealed with; gateways that have the
    same accept one another's sessions. Without it a secret is made of the administrator's token."""
    session_life_s: float = Field(default=43_200.0, ge=60.0, le=2_592_000.0)
    """After how many seconds somebody has to sign in again."""
    key_fresh_s: float = Field(default=5.0, ge=0.0, le=300.0)
    """How long an API key is good here without asking the scheduler: so soon a revocation takes hold."""
    key_stale_s: float = Field(default=60.0, ge=0.0, le=3600.0)
    """How long it is good while the scheduler does not answer."""
    jwt_secret_file: Path | None = None
    """A file with at least 32 characters that JWTs of the algorithm HS256 are signed with. Without it none
    are taken."""
    jwt_audience: str = Field(default="callsheet", min_length=1)
    """What such a JWT has to have as its audience (aud)."""
    jwt_issuer: str = ""
    """What it has to have as its issuer (iss); empty for any."""
    jwt_leeway_s: float = Field(default=30.0, ge=0.0, le=600.0)
    """By how much the clocks of those who sign JWTs may differ from ours."""
    oidc_issuer: str = ""
    """An OpenID Connect issuer whose JWTs are taken, such as https://login.example.org/realms/media. Its keys
    are found by its discovery document. Empty for none."""
    oidc_audience: str = Field(default="", validate_default=True)
    """What a JWT of the issuer has to have as its audience (aud)."""
    oidc_algorithms: str = "RS256,ES256,EdDSA"
    """The algorithms that are taken of it, separated by commas: of RS256, RS384, RS512, PS256, PS384, PS512,
    ES256, ES384, ES512 and EdDSA."""
    role_claim: str = Field(default="role", min_length=1)
    """The claim of a JWT that says what its owner may do, one value or a list; with dots the way to a nested
    one: realm_access.roles."""
    role_values: dict[str, RoleName] = Field(default_factory=dict[str, RoleName])
    """What the values of that claim mean, a JSON object: {"media-admins": "OPERATOR"}. Empty where they are
    names of roles themselves."""
    sign_in_failures_per_min: float = Field(default=30.0, ge=0.0, le=100_000.0)
    """Wrong credentials that one address may show in a minute; further ones are answered 429. 0 for any
    number."""
    changes_per_s: float = Field(default=500.0, ge=0.0, le=1_000_000.0)
    """Requests that change something, in a second, by one caller and from one address; more are answered 429.
    0 for any number."""
    changes_burst: float = Field(default=2000.0, ge=1.0, le=1_000_000.0)
    """How many of them may come at once."""
    trusted_proxies: str = ""
    """Addresses or networks of proxies, separated by commas, such as 10.0.0.0/8, whose X-Forwarded-For,
    X-Forwarded-Proto and X-Forwarded-Host are believed."""
    page: Path | None = None
    """The folder of the built page; without it, the one that was installed with the gateway."""
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
    upload_root: str = "uploads"
    """The root that uploads lie in which name none."""
    upload_bytes_max: int = Field(default=64 * 1024**3, ge=1)
    """The longest upload; a longer one is answered 413."""
    uploads_bytes_max: int = Field(default=256 * 1024**3, ge=1)
    """What the uploads into one root that are not complete may come to; more are answered 507."""
    uploads_max: int = Field(default=1000, ge=1, le=100_000)
    """Uploads into one root that are not complete; more are answered 429."""
    upload_expires_s: float = Field(default=24 * 3600.0, ge=1.0)
    """How long an upload may be without a new byte; then it is given up and its bytes are removed."""
    upload_idle_s: float = Field(default=30.0, ge=0.1, le=3600.0)
    """How long the client of an upload may send nothing in the middle of a piece; then it has to go on by a
    new request."""
    upload_wait_s: float = Field(default=120.0, ge=0.1, le=3600.0)
    """How long an answer waits for the pictures of what was uploaded, where it waits for them."""
    upload_sweep_s: float = Field(default=600.0, ge=0.1)
    """Seconds between two searches for uploads that were given up, or that no scheduler knew of yet."""
    free_disk_floor_mib: int = Field(default=1024, ge=0)
    """Free space in MiB that uploads leave on the disk of their root."""
    async_thumbnails: bool = True
    """Whether an upload is answered before its pictures are made; false has every upload wait for them."""
    stream_stall_s: float = Field(default=300.0, ge=0.1, le=86_400.0)
    """How long a client may take none of an original that is sent to it; then its connection is closed."""
    file_threads: int = Field(default=32, ge=1, le=1000)
    """Reads and writes of files and buckets at once; more wait."""
    connections_max: int = Field(default=4096, ge=1, le=100_000)
    """Connections at once; more are answered 503."""
    event_streams_max: int = Field(default=2048, ge=1, le=100_000)
    """Event streams at once, of jobs and of growing logs; more are answered 429."""
    event_heartbeat_s: float = Field(default=15.0, ge=0.05, le=300.0)
    """The longest silence of an event stream, and how often its credential is looked at again."""

    @field_validator("listen")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not (port.isascii() and port.isdecimal()) or int(port) > PORT_MAX:
            raise ValueError(f"must be host:port with a port from 0 to {PORT_MAX}, such as 127.0.0.1:8080")
        return value

    @field_validator("oidc_issuer")
    @classmethod
    def _is_reached_safely(cls, value: str) -> str:
        if value and not is_private_way(value):
            raise ValueError("must be an address with https; http will do on this machine alone")
        return value

    @field_validator("oidc_audience")
    @classmethod
    def _says_the_audience(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("oidc_issuer") and not value:
            raise ValueError("must be set where CALLSHEET_OIDC_ISSUER is: tokens for others are not for us")
        return value

    @field_validator("oidc_algorithms")
    @classmethod
    def _are_algorithms(cls, value: str) -> str:
        if wrong := sorted(algorithms(value) - FAMILIES.keys()) or ([] if algorithms(value) else ["none"]):
            raise ValueError(f"must be of {', '.join(FAMILIES)}; not {', '.join(wrong)}")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        parse_networks(value)
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

    @property
    def issued_algorithms(self) -> frozenset[str]:
        """The algorithms of the issuer's tokens."""
        return algorithms(self.oidc_algorithms)

    def folders(self) -> dict[str, Path | None]:
        """Return the folder of each root; None for a bucket."""
        return {
            name: root.path if isinstance(root, RootSettings) else None for name, root in self.roots.items()
        }


def algorithms(text: str) -> frozenset[str]:
    """Return the names of a list with commas."""
    return frozenset(name for part in text.split(",") if (name := part.strip()))
