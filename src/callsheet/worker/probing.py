"""Has a sandboxed child say what a file is, whatever the file does to the child."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from callsheet.errors import AttemptError, BadInputError
from callsheet.media.faults import Fault, FaultKind
from callsheet.media.kinds import HEAD_BYTES, promised_kind, sniff
from callsheet.v1.library_service_pb2 import ItemFacts
from callsheet.worker.context import JobContext
from callsheet.worker.decode.source import Source
from callsheet.worker.decode.works import PROBE, ProbeArguments, Probed
from callsheet.worker.item_facts import broken_item, sound_item
from callsheet.worker.sandbox.processes import ChildFaultError
from callsheet.worker.storage.library import OpenedFile
from callsheet.worker.threads import in_thread

DEADLINE_S: Final = 60.0
"""How long looking at one file may take."""
_TRIES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file as it was when it was opened."""

    size_bytes: int
    mtime_ns: int
    probed: Probed


Before = Callable[[OpenedFile, str], Awaitable[None]]
"""Told a file and the identity of its content just before a decoder reads it."""


async def probe_file(
    context: JobContext, root: str, path: str, *, before: Before | None = None
) -> Found | None:
    """Return what a file is, None for what is no media and not named as such.

    A file that brings its decoder down is told as a fault. Of one whose name promises nothing the first bytes
    are read before: what lies in a bucket is fetched for less.

    Raises:
        VanishedError: The file is gone.
        BadInputError: It cannot be opened.
    """
    if promised_kind(path) is None:
        head = await in_thread(lambda: context.roots.read(root, path, 0, HEAD_BYTES))
        if sniff(head.content) is None:
            return None
    with await in_thread(lambda: context.roots.open_file(root, path), OpenedFile.close) as file:
        if before is not None:
            await before(file, await in_thread(lambda: Source(file.fd).identity()))
        probed = await _probed(context, file, path)
        return Found(size_bytes=file.size_bytes, mtime_ns=file.mtime_ns, probed=probed)


def item_row(root: str, path: str, found: Found | None) -> ItemFacts | None:
    """Return the library's row of a file; None for what is no media and not named as such."""
    if found is None:
        return None
    probed = found.probed
    if probed.facts is not None:
        row = sound_item(probed.facts)
    elif probed.fault is not None:
        row = broken_item(path, probed.fault)
    else:
        return None
    return _placed(row, root, path, probed.identity, (found.size_bytes, found.mtime_ns))


def unread_row(root: str, path: str, file: OpenedFile, identity: str, reason: str) -> ItemFacts:
    """Return the library's row of a file that cannot be used for as long as no decoder has read it."""
    row = broken_item(path, Fault(kind=FaultKind.UNDECODABLE, reason=reason))
    return _placed(row, root, path, identity, (file.size_bytes, file.mtime_ns))


def _placed(row: ItemFacts, root: str, path: str, identity: str, sizes: tuple[int, int]) -> ItemFacts:
    row.root, row.path, row.identity = root, path, identity
    row.size_bytes, row.mtime_ns = sizes
    return row


async def _probed(context: JobContext, file: OpenedFile, path: str) -> Probed:
    arguments = ProbeArguments(name_promises_media=promised_kind(path) is not None)
    reason = ""
    for _ in range(_TRIES):
        try:
            answer = await context.children.run(
                PROBE, arguments, descriptors=[file.fd], deadline_s=DEADLINE_S
            )
        except (BadInputError, ChildFaultError) as error:
            reason = error.message
            break
        except AttemptError as error:
            reason = error.message
        else:
            return answer.value
    identity = await in_thread(lambda: Source(file.fd).identity())
    return Probed(identity=identity, fault=Fault(kind=FaultKind.UNDECODABLE, reason=reason))
