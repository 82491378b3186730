"""What workers did, for the laws to judge."""

from collections.abc import Callable
from dataclasses import dataclass, field

from callsheet_scheduler.domain.job import JobId, Token

from callsheet.v1.job_pb2 import FAILURE_KIND_OUT_OF_VRAM, NewJob
from callsheet.v1.lease_service_pb2 import Grant, Result
from callsheet.worker.leftovers import Leftover, Standing
from callsheet.worker.stream.commands import LeaseKey
from tests.support.simulator.cards import held_mib


@dataclass(slots=True)
class Traces:
    """What workers did."""

    started: list[LeaseKey] = field(default_factory=list)
    files: set[LeaseKey] = field(default_factory=set)
    """Leases whose outputs lie in a root."""
    made: set[LeaseKey] = field(default_factory=set)
    acknowledged: list[tuple[LeaseKey, str, int]] = field(default_factory=list)
    """Lease, outcome, fate."""
    killed: set[str] = field(default_factory=set)
    """Workers that were killed, with what they had not yet told of their logs."""
    placed: set[tuple[str, str]] = field(default_factory=set)
    """Root and path."""
    said: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    """By job and attempt: the lines of its log, in order."""
    ran_out: dict[LeaseKey, int] = field(default_factory=dict)
    """Attempts that wanted more memory of a GPU than they had, and how many MiB that was."""
    children: list[NewJob] = field(default_factory=list[NewJob])
    """Follow-ups that were reported."""
    on_start: Callable[[LeaseKey], None] = lambda _: None
    on_ack: Callable[[LeaseKey, str, int], None] = lambda _key, _outcome, _fate: None

    def note_memory(self, key: LeaseKey, grant: Grant, result: Result) -> None:
        """Note what an attempt held of its GPU at most, and whether that was too little."""
        result.peak_vram_mib = held_mib(grant)
        if result.failed.kind == FAILURE_KIND_OUT_OF_VRAM and grant.device_uuid:
            self.ran_out[key] = grant.vram_mib

    def sweep(self, standing: Callable[[JobId, Token], Standing]) -> None:
        """Remove what nobody can want, as workers do with the files of killed ones."""
        for job_id, token in sorted(self.files):
            left = Leftover(root="media", path="", lease=(job_id, token), whole=True)
            if left.may_go(standing(JobId(job_id), Token(token))):
                self.files.discard((job_id, token))
