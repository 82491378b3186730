"""Takes uploads: makes them, adds to them, puts them in their place, ends them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Final, NoReturn
from uuid import uuid4

from fastapi import HTTPException

from callsheet.client import Client
from callsheet.errors import (
    AttemptError,
    CallsheetError,
    CapacityError,
    NotFoundError,
    OverloadedError,
    StateError,
    TransientError,
    UnavailableError,
)
from callsheet.ids import new_job_id
from callsheet.service.clock import Clock
from callsheet.worker.storage.folder import FolderStore
from callsheet.worker.storage.library import Roots
from callsheet.worker.threads import in_thread
from callsheet_gateway.media.places import DERIVATIVES_ROOT
from callsheet_gateway.metrics import UPLOADED_BYTES, UPLOADS
from callsheet_gateway.settings import GatewaySettings
from callsheet_gateway.uploads.arrivals import Arrivals, Writer
from callsheet_gateway.uploads.names import Wish
from callsheet_gateway.uploads.protocol import CHECKSUM_FAILED, Checksum, check_offset, check_room
from callsheet_gateway.uploads.records import Record, Standing, expires_at, standing
from callsheet_gateway.uploads.registering import Registered, item_of, registered, submit_scan
from callsheet_gateway.uploads.sums import Sum, Sums
from callsheet_gateway.uploads.turns import Turns

log = logging.getLogger(__name__)

BUFFER_BYTES: Final = 1024 * 1024
"""How much is gathered before it is written."""
FULL_RETRY_S: Final = 60.0
MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An upload as it is now."""

    arrivals: Arrivals
    record: Record
    standing: Standing
    settled: bool
    offset: int
    """How many bytes have arrived."""
    changed_at: datetime


class Uploads:
    """The uploads of every root that this gateway may write to."""

    def __init__(self, settings: GatewaySettings, roots: Roots, client: Client, clock: Clock) -> None:
        self._settings = settings
        self._client = client
        self._clock = clock
        self._turns = Turns(settings.upload_idle_s)
        self._sums = Sums()
        self._making = asyncio.Lock()
        self._sweeping: asyncio.Task[NoReturn] | None = None
        self._roots = roots
        self._arrivals = dict(_arrivals(settings, roots))

    def expires_at(self, upload: Upload) -> datetime | None:
        """Return when an upload is given up; None for one that is whole."""
        if upload.standing is not Standing.OPEN:
            return None
        return expires_at(upload.changed_at, self._settings.upload_expires_s)

    async def create(self, wish: Wish, *, length: int, metadata: str, wait: bool, by: str) -> Upload:
        """Begin an upload.

        Raises:
            StateError: Nothing can be uploaded into the root; names the remedy.
            HTTPException: 413, it would be too large; 507, there is no room.
            OverloadedError: Too many are under way.
        """
        arrivals = self._target(wish.root)
        if length > self._settings.upload_bytes_max:
            raise HTTPException(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"Upload-Length: at most {self._settings.upload_bytes_max:,} bytes are taken",
            )
        record = Record(
            id=uuid4().hex,
            folder=wish.folder,
            name=wish.name,
            length=length,
            metadata=metadata,
            collection=wish.collection,
            wait=wait or not self._settings.async_thumbnails,
            created_at=self._clock.now(),
            by=by,
            scan_job_id=new_job_id(),
            pictures_job_id=new_job_id(),
        )
        async with self._making:
            with _told():
                await in_thread(lambda: self._check_total(arrivals, length))
                await in_thread(lambda: arrivals.begin(record))
        return await self.find(record.id)

    async def find(self, upload_id: str) -> Upload:
        """Return an upload.

        Raises:
            NotFoundError: There is none, or it was given up.
            UnavailableError: A root that it may lie in cannot be read now.
        """
        with _told():
            upload = await in_thread(lambda: self._find(upload_id))
        if upload is None or upload.standing in {Standing.LOST, Standing.EXPIRED}:
            raise NotFoundError(f"there is no upload {upload_id[:64]}, or it was given up; begin again")
        return upload

    async def append(
        self, upload: Upload, offset: int, body: AsyncIterator[bytes], checksum: Checksum | None
    ) -> Upload:
        """Add a piece, and put the upload in its place when that was the last.

        Raises:
            HTTPException: The offset is not where the upload is; the piece is too long or not what its
                checksum says; somebody else writes; there is no room.
            UnavailableError: The client fell silent or went away. What came is kept, unless it had a
                checksum.
        """
        check_offset(offset, upload.offset)
        if upload.standing is not Standing.OPEN:
            return await self.placed(upload)
        try:
            async with self._turns.turn(upload.arrivals, upload.record) as (turn, writer):
                check_offset(offset, writer.size)
                with _told():
                    async with aclosing(turn.pieces(body)) as pieces:
                        await self._receive(upload.record, pieces, writer, checksum)
                    return await self._at_the_end(upload, writer)
        except FileNotFoundError:
            return await self.find(upload.record.id)

    async def placed(self, upload: Upload) -> Upload:
        """Return an upload, put in its place if it is whole and was not yet."""
        if upload.standing is not Standing.WHOLE:
            return upload
        try:
            async with self._turns.turn(upload.arrivals, upload.record) as (_, writer):
                with _told():
                    return await self._at_the_end(upload, writer)
        except FileNotFoundError:
            return await self.find(upload.record.id)

    async def settled(self, upload: Upload, *, wait: bool = False) -> tuple[Upload, Registered]:
        """Have an upload that has its place made an item.

        Raises:
            UnavailableError: No scheduler leads; the sweep repeats it, and so may the client.
        """
        record, root = upload.record, upload.arrivals.root
        if upload.settled:
            item = await item_of(self._client, root, record)
            return upload, Registered(jobs=(record.scan_job_id,), item=item)
        if wait:
            record = record.model_copy(update={"wait": True})
        await submit_scan(self._client, root, record)
        with _told():
            await in_thread(lambda: upload.arrivals.settle(record))
        UPLOADS.labels("settled").inc()
        outcome = await registered(self._client, root, record, wait_s=self._settings.upload_wait_s)
        return replace(upload, record=record, settled=True), outcome

    async def remove(self, upload: Upload) -> None:
        """End an upload and remove what came of it.

        Raises:
            StateError: It is an original by now.
        """
        if upload.standing is Standing.PLACED:
            raise StateError("the upload is complete and an original of the library; it cannot be ended")
        try:
            async with self._turns.turn(upload.arrivals, upload.record):
                with _told():
                    await in_thread(lambda: upload.arrivals.drop(upload.record))
        except FileNotFoundError:
            raise NotFoundError(f"there is no upload {upload.record.id}") from None
        UPLOADS.labels("ended").inc()

    def begin(self) -> None:
        """Look now and then, from now on, for what nobody goes on with."""
        self._sweeping = asyncio.create_task(self._keep_swept())

    async def close(self) -> None:
        """Leave it to others."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)

    async def _keep_swept(self) -> NoReturn:
        while True:
            for arrivals in self._arrivals.values():
                try:
                    await self._sweep(arrivals)
                except CallsheetError as error:
                    log.warning(
                        "uploads were not swept", extra={"root": arrivals.root, "reason": error.message}
                    )
            await asyncio.sleep(self._settings.upload_sweep_s)

    async def _sweep(self, arrivals: Arrivals) -> None:
        for record in await in_thread(lambda: list(arrivals.open_ones())):
            upload = await in_thread(partial(self._seen, arrivals, record, settled=False))
            try:
                await self._end_or_go_on(upload)
            except (CallsheetError, HTTPException, FileNotFoundError) as error:
                log.info("an upload is left for later", extra={"upload": record.id, "reason": str(error)})
        before = self._clock.now() - timedelta(seconds=self._settings.upload_expires_s)
        await in_thread(lambda: arrivals.forget(before))

    async def _end_or_go_on(self, upload: Upload) -> None:
        match upload.standing:
            case Standing.EXPIRED:
                await in_thread(lambda: self._drop_expired(upload))
            case Standing.LOST:
                await in_thread(lambda: upload.arrivals.drop(upload.record))
            case Standing.WHOLE | Standing.PLACED:
                placed = await self.placed(upload)
                await submit_scan(self._client, upload.arrivals.root, placed.record)
                await in_thread(lambda: upload.arrivals.settle(placed.record))
            case Standing.OPEN:
                pass

    def _drop_expired(self, upload: Upload) -> None:
        """Remove an upload, unless somebody writes to it, or just did."""
        writer = upload.arrivals.writer(upload.record)
        if writer is None:
            return
        try:
            again = self._seen(upload.arrivals, upload.record, settled=False)
            if again.standing is Standing.EXPIRED:
                upload.arrivals.drop(upload.record)
                UPLOADS.labels("expired").inc()
        finally:
            writer.close()

    async def _receive(
        self, record: Record, pieces: AsyncIterator[bytes], writer: Writer, checksum: Checksum | None
    ) -> None:
        start = writer.size
        known, check = self._sums.take(record.id, start), checksum.hasher() if checksum else None
        buffer = bytearray()
        good = checksum is None
        try:
            async for piece in pieces:
                check_room(known.size + len(buffer), len(piece), record.length)
                buffer += piece
                if check is not None:
                    check.update(piece)
                if len(buffer) >= BUFFER_BYTES:
                    await _write(writer, known, buffer)
            if checksum is not None and check is not None and check.digest() != checksum.digest:
                raise HTTPException(
                    CHECKSUM_FAILED, "Upload-Checksum: the piece is not what it says; repeat it"
                )
            good = True
        finally:
            if good:
                await _write(writer, known, buffer)
                self._sums.keep(record.id, known)
            else:
                await in_thread(lambda: writer.cut(start))

    async def _at_the_end(self, upload: Upload, writer: Writer) -> Upload:
        """Put a whole upload in its place."""
        record = upload.record
        size = writer.size
        if size < record.length:
            return replace(upload, offset=size, changed_at=self._clock.now())
        digest = self._sums.take(record.id, size).digest or await in_thread(lambda: writer.digest(size))
        summed = record.model_copy(update={"sha256": digest})
        placed = await in_thread(lambda: upload.arrivals.place(summed, writer))
        UPLOADS.labels("placed").inc()
        return replace(upload, record=placed, standing=Standing.PLACED, offset=size)

    def _target(self, named: str) -> Arrivals:
        root = named or self._settings.upload_root
        if root in self._arrivals:
            return self._arrivals[root]
        others = ", ".join(sorted(self._arrivals)) or "none"
        if root == DERIVATIVES_ROOT:
            why = "holds what is made from originals, and no original"
        elif root not in self._roots:
            why = "is not reached by this gateway; add it to CALLSHEET_ROOTS"
        elif self._roots[root].writable:
            why = "is a bucket, which takes no uploads"
        else:
            why = "is read-only for this gateway; set its writable to true in CALLSHEET_ROOTS"
        hint = "" if named else " Without a root in Upload-Metadata CALLSHEET_UPLOAD_ROOT counts."
        raise StateError(f"root {root!r} {why}, or name one that takes uploads ({others}).{hint}")

    def _check_total(self, arrivals: Arrivals, length: int) -> None:
        lengths = [record.length for record in arrivals.open_ones()]
        if len(lengths) >= self._settings.uploads_max:
            raise OverloadedError(
                f"{len(lengths):,} uploads into the root {arrivals.root} are not complete; end some",
                retry_after_s=FULL_RETRY_S,
            )
        if sum(lengths) + length > self._settings.uploads_bytes_max:
            raise CapacityError(
                f"root {arrivals.root!r}: uploads that are not complete would come to more than "
                f"{self._settings.uploads_bytes_max:,} bytes (CALLSHEET_UPLOADS_BYTES_MAX); end some"
            )

    def _find(self, upload_id: str) -> Upload | None:
        away: TransientError | None = None
        for arrivals in self._arrivals.values():
            try:
                found = arrivals.find(upload_id)
            except TransientError as error:
                away = error
                continue  # the upload may lie in another root
            if found is not None:
                return self._seen(arrivals, found.record, settled=found.settled)
        if away is not None:
            raise away
        return None

    def _seen(self, arrivals: Arrivals, record: Record, *, settled: bool) -> Upload:
        arrived = arrivals.arrived(record)
        how_far = standing(
            record,
            arrived.size,
            changed_at=arrived.changed_at,
            now=self._clock.now(),
            ttl_s=self._settings.upload_expires_s,
        )
        if settled:
            how_far = Standing.PLACED
        offset = record.length if how_far is Standing.PLACED else arrived.size or 0
        return Upload(
            arrivals=arrivals,
            record=record,
            standing=how_far,
            settled=settled,
            offset=offset,
            changed_at=arrived.changed_at,
        )


async def _write(writer: Writer, known: Sum, buffer: bytearray) -> None:
    """Write what was gathered, and forget it; on a failure as much as fitted."""
    content = bytes(buffer)
    buffer.clear()

    def work() -> None:
        writer.append(content)
        known.add(content)

    if content:
        await in_thread(work)
        UPLOADED_BYTES.inc(len(content))


def _arrivals(settings: GatewaySettings, roots: Roots) -> Iterator[tuple[str, Arrivals]]:
    for name, root in roots.items():
        store = roots.store(name)
        if root.writable and name != DERIVATIVES_ROOT and isinstance(store, FolderStore):
            yield name, Arrivals(name, store, floor_bytes=settings.free_disk_floor_mib * MIB)


@contextmanager
def _told() -> Generator[None]:
    """Tell what a root says as the answer that it means."""
    try:
        yield
    except CapacityError as error:
        raise HTTPException(HTTPStatus.INSUFFICIENT_STORAGE, error.message) from error
    except TransientError as error:
        raise UnavailableError(error.message) from error
    except AttemptError as error:
        raise StateError(error.message) from error
