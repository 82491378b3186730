"""The scheduler's settings."""

import socket
from pathlib import Path
from typing import Self

from pydantic import Field, TypeAdapter, field_validator, model_validator

from callsheet.addresses import is_loopback, is_wildcard, join_address, split_address
from callsheet.catalog import Category
from callsheet.service.settings import ServiceSettings
from callsheet_scheduler.domain.ledger import LedgerRules
from callsheet_scheduler.domain.limits import SCOPE_OF
from callsheet_scheduler.domain.patience import BackfillRules
from callsheet_scheduler.domain.retry import RetryRules
from callsheet_scheduler.domain.rules import Rules


def _first_line(path: Path) -> str:
    try:
        found = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise ValueError(f"CALLSHEET_DATABASE_URL_FILE cannot be read: {error}") from None
    if not found or "\n" in found:
        raise ValueError(f"CALLSHEET_DATABASE_URL_FILE: {path} has to hold one address in one line")
    return found


class SchedulerSettings(ServiceSettings):
    """Where the database is, where to listen, and the numbers of scheduling."""

    database_url: str = ""
    """PostgreSQL 14 or newer, as postgresql://user:password@host:port/database. A pooler in transaction mode
    will not do: leadership rests on session locks. Either this or the file has to be given."""
    database_url_file: Path | None = None
    """A file with that address, so that its password is in no environment."""
    listen: str = "127.0.0.1:7420"
    """The gRPC address, host:port; port 0 takes a free one. Beyond loopback only with TLS or a join token."""
    advertise: str = ""
    """Where workers and clients reach this scheduler while it leads, host:port; other schedulers send them
    there. Empty for the bound address, or for the machine's host name where that is every address."""
    keda_listen: str = ""
    """Where KEDA's external scaler is served, host:port, without credentials, since KEDA can show no join
    token: it tells how much work there is and nothing else. Empty for nowhere."""
    leader_ttl_s: float = Field(default=5.0, ge=1.0, le=60.0)
    """After how many seconds without a sign of life the database ends a leadership, so that another
    scheduler can begin one."""
    port_file: Path | None = None
    """Where to write the bound gRPC port once the scheduler listens."""
    limit_cpu: int = Field(default=5, ge=0, le=10_000)
    """CPU jobs at once on one host."""
    limit_gpu_encode: int = Field(default=2, ge=0, le=10_000)
    """Encoding jobs at once on one host."""
    limit_gpu_ai: int = Field(default=1, ge=0, le=10_000)
    """Inference jobs at once on one host."""
    lease_ttl_s: float = Field(default=30.0, ge=1.0, le=3600.0)
    """How many seconds a worker may stay silent before its jobs are given to another."""
    orphan_limit_s: float = Field(default=900.0, ge=1.0)
    """After how many seconds without a scheduler a worker stops its attempts."""
    vram_margin_mib: int = Field(default=512, ge=0, le=1 << 20)
    """MiB of every GPU that no job is given: for the driver, and what jobs take beyond their share."""
    backfill_patience_s: float = Field(default=600.0, ge=0.0)
    """For how many seconds a waiting GPU job of priority 5 lets smaller ones overtake it; then a GPU is kept
    for it. At priority 1 it is a fifth of that, at 10 twice as much."""
    retry_base_s: float = Field(default=60.0, ge=0.0)
    """The delay before retry n is this times 2 to the power of n, in seconds."""
    retry_cap_s: float = Field(default=3600.0, ge=0.0)
    """The longest delay before a retry, in seconds."""
    live_jobs_max: int = Field(default=2_000_000, ge=1)
    """Jobs that are not final; more are refused until some finish."""
    history_days: int = Field(default=30, ge=2, le=36_500)
    """For how many days finished jobs are kept, with their logs and attempts. They go by whole days of
    submission, as soon as every job of the day has been final for so long."""
    audit_days: int = Field(default=400, ge=91, le=36_500)
    """For how many days entries of the audit trail are kept."""
    readers_max: int = Field(default=8, ge=2, le=100)
    """Connections for reading, in each of two pools."""

    @model_validator(mode="before")
    @classmethod
    def _database_is_named_once(cls, given: object) -> object:
        fields = TypeAdapter(dict[str, object]).validate_python(given)
        url, path = fields.get("database_url"), fields.get("database_url_file")
        if bool(url) == bool(path):
            raise ValueError("set one of CALLSHEET_DATABASE_URL and CALLSHEET_DATABASE_URL_FILE")
        return fields if url else fields | {"database_url": _first_line(Path(str(path)))}

    @field_validator("listen", "advertise", "keda_listen")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if value:
            split_address(value)
        return value

    @model_validator(mode="after")
    def _beyond_loopback_with_a_credential_only(self) -> Self:
        beyond = not is_loopback(split_address(self.listen)[0])
        if beyond and self.tls_dir is None and self.join_token_file is None:
            raise ValueError(
                f"CALLSHEET_LISTEN is {self.listen}, which others can reach, and neither "
                "CALLSHEET_TLS_DIR nor CALLSHEET_JOIN_TOKEN_FILE is set: name a folder with certificates "
                "or a file with a token there, or listen on 127.0.0.1"
            )
        if beyond and self.advertise and is_loopback(split_address(self.advertise)[0]):
            raise ValueError(
                f"CALLSHEET_ADVERTISE is {self.advertise}, which no other machine can reach, and "
                f"CALLSHEET_LISTEN is {self.listen}: advertise the address by which others reach this machine"
            )
        return self

    def advertised(self, port: int) -> str:
        """Return where others reach this scheduler, which listens on *port*."""
        host, _ = split_address(self.listen)
        return self.advertise or join_address(socket.gethostname() if is_wildcard(host) else host, port)

    def own(self, port: int) -> str:
        """Return where this process itself reaches the scheduler, which listens on *port*."""
        host, _ = split_address(self.listen)
        if is_wildcard(host):
            host = "::1" if ":" in host else "127.0.0.1"
        return join_address(host, port)

    def rules(self) -> Rules:
        """Return what the engine decides by."""
        return Rules(
            host_limits={
                SCOPE_OF[Category.CPU]: self.limit_cpu,
                SCOPE_OF[Category.GPU_ENCODE]: self.limit_gpu_encode,
                SCOPE_OF[Category.GPU_AI]: self.limit_gpu_ai,
            },
            lease_ttl_s=self.lease_ttl_s,
            live_jobs_max=self.live_jobs_max,
            retry=RetryRules(base_s=self.retry_base_s, cap_s=self.retry_cap_s),
            ledger=LedgerRules(
                margin_mib=self.vram_margin_mib,
                fresh_s=self.lease_ttl_s,
                orphan_limit_s=self.orphan_limit_s,
            ),
            backfill=BackfillRules(patience_s=self.backfill_patience_s),
        )
