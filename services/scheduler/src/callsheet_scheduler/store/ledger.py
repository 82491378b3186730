"""Writes and reads the ledger of the GPUs."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from callsheet_scheduler.domain.device import (
    Bounds,
    Card,
    Charge,
    DeviceId,
    KeptAccount,
    LeaseKey,
    Need,
    held_by,
)
from callsheet_scheduler.domain.effects import FinishJob, FreeVram, GrantLease, KeepDevice, ReleaseLease, Vram
from callsheet_scheduler.domain.job import LEASED, JobId, LiveJob, Token, WorkerId
from callsheet_scheduler.metrics import LEDGER_MENDED
from callsheet_scheduler.store.connection import Connection, Own
from callsheet_scheduler.store.errors import DisagreementError
from callsheet_scheduler.store.queue import expect_changed
from callsheet_scheduler.store.statements import statement

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLedger:
    """All accounts and what is charged to them, for a new leader."""

    accounts: list[KeptAccount]
    charges: list[Charge]


async def note_peaks(connection: Connection, endings: Sequence[FinishJob | ReleaseLease]) -> None:
    """Note what attempts that ended had held, on the rows of their jobs, which are still leased."""
    if measured := [ending for ending in endings if ending.peak_vram_mib]:
        await connection.execute(
            statement("note_peaks"),
            [ending.job.id for ending in measured],
            [ending.token for ending in measured],
            [ending.peak_vram_mib for ending in measured],
        )


async def write_ledger(
    connection: Connection,
    endings: Sequence[FinishJob | ReleaseLease],
    freed: Sequence[FreeVram],
    devices: Sequence[KeepDevice],
    grants: Sequence[GrantLease],
    *,
    now: float,
) -> None:
    """Write what a turn changes: what is freed goes before bounds, and these before what is charged.

    Raises:
        DisagreementError: Something was not charged that is freed, or was not leased that is placed.
    """
    if lingering := [lease_of(ending) for ending in endings if ending.vram is Vram.LINGERS]:
        await _linger(connection, lingering, now=now)
    gone = [lease_of(ending) for ending in endings if ending.vram is Vram.FREED]
    if gone or freed:
        await _free(connection, [*gone, *(one.lease for one in freed)])
    if devices:
        await _keep(connection, {one.card.id: one for one in devices}.values())
    if grants:
        await _place(connection, [grant.job for grant in grants])
    if charges := [grant.charge for grant in grants if grant.charge is not None]:
        await _charge(connection, charges)


def lease_of(ending: FinishJob | ReleaseLease) -> LeaseKey:
    """Return the lease that an effect ends."""
    return (ending.job.id, ending.token)


async def load_ledger(connection: Own, jobs: Iterable[LiveJob], *, now: float) -> KeptLedger:
    """Return the ledger as it is kept. Where it is not the fold of the live leases it is mended, and said so.

    Raises:
        asyncpg.CheckViolationError: The live leases overdraw an account.
    """
    held = {
        (job.id, job.token): (job, need)
        for job in jobs
        if job.state in LEASED and (need := held_by(job)) is not None
    }
    async with connection.transaction():
        charges = await _load_charges(connection)
        charged = {charge.lease for charge in charges}
        stray = [
            charge.lease for charge in charges if charge.lingers_since is None and charge.lease not in held
        ]
        missing = [_charge_of(*held[lease], now) for lease in held.keys() - charged]
        recounted = await connection.fetch(statement("recount_devices"))
        if stray:
            await _linger(connection, stray, now=now)
        if missing:
            await _charge(connection, missing)
        if stray or missing or recounted:
            LEDGER_MENDED.set(now)
            log.error(
                "the ledger was not the sum of the live leases and was mended",
                extra={"stray": stray, "missing": missing, "recounted": [row["uuid"] for row in recounted]},
            )
            charges = await _load_charges(connection)
        return KeptLedger(accounts=await _load_accounts(connection), charges=charges)


def _charge_of(job: LiveJob, need: Need, now: float) -> Charge:
    return Charge(
        lease=(job.id, job.token),
        device=DeviceId(job.device or ""),
        worker_id=job.worker_id or WorkerId(""),
        need=need,
        at=now,
    )


async def _free(connection: Connection, leases: Sequence[LeaseKey]) -> None:
    freed = await connection.fetchval(statement("free_vram"), *_columns(leases))
    if freed != len(leases):
        message = f"{freed} allocations were there to be freed instead of {len(leases)}"
        raise DisagreementError(message)


async def _linger(connection: Connection, leases: Sequence[LeaseKey], *, now: float) -> None:
    status = await connection.execute(statement("linger_vram"), *_columns(leases), now)
    expect_changed(status, len(leases), "linger_vram")


async def _keep(connection: Connection, kept: Iterable[KeepDevice]) -> None:
    rows = sorted(kept, key=lambda one: one.card.id)
    await connection.execute(
        statement("keep_devices"),
        [row.card.id for row in rows],
        [row.host for row in rows],
        [row.card.index for row in rows],
        [row.card.name for row in rows],
        [row.card.driver for row in rows],
        [row.bounds.capacity_mib for row in rows],
        [row.bounds.margin_mib for row in rows],
        [row.bounds.encoder_sessions_max for row in rows],
    )


async def _place(connection: Connection, jobs: Sequence[LiveJob]) -> None:
    status = await connection.execute(
        statement("place_jobs"),
        [job.id for job in jobs],
        [job.token for job in jobs],
        [job.device for job in jobs],
    )
    expect_changed(status, len(jobs), "place_jobs")


async def _charge(connection: Connection, charges: Sequence[Charge]) -> None:
    status = await connection.execute(
        statement("charge_vram"),
        *_columns([charge.lease for charge in charges]),
        [charge.device for charge in charges],
        [charge.worker_id for charge in charges],
        [charge.need.vram_mib for charge in charges],
        [charge.need.encoder_sessions for charge in charges],
        [charge.at for charge in charges],
    )
    expect_changed(status, len({charge.device for charge in charges}), "charge_vram")


def _columns(leases: Sequence[LeaseKey]) -> tuple[list[JobId], list[Token]]:
    return [job_id for job_id, _ in leases], [token for _, token in leases]


async def _load_accounts(connection: Connection) -> list[KeptAccount]:
    return [
        KeptAccount(
            card=Card(
                id=DeviceId(row["uuid"]),
                index=row["number"],
                name=row["name"],
                memory_mib=row["capacity_mib"],
                encoder_sessions_max=row["encoder_sessions_max"],
                driver=row["driver"],
            ),
            host=row["host"],
            bounds=Bounds(
                capacity_mib=row["capacity_mib"],
                margin_mib=row["margin_mib"],
                encoder_sessions_max=row["encoder_sessions_max"],
            ),
        )
        for row in await connection.fetch(statement("load_devices"))
    ]


async def _load_charges(connection: Connection) -> list[Charge]:
    return [
        Charge(
            lease=(JobId(row["job_id"]), Token(row["token"])),
            device=DeviceId(row["device"]),
            worker_id=WorkerId(row["worker_id"]),
            need=Need(row["vram_mib"], row["encoder_sessions"]),
            at=row["charged_at"],
            lingers_since=row["lingers_since"],
        )
        for row in await connection.fetch(statement("load_allocations"))
    ]
