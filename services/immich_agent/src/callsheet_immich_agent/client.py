"""Speaks with an Immich server in either generation of its API, and says exactly what a key may not do."""

import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Final, Self, cast
from urllib.parse import quote

import httpx
from typing_extensions import TypeIs

from callsheet.errors import (
    CallsheetError,
    DeniedError,
    InvalidError,
    NotFoundError,
    OverloadedError,
    StateError,
    UnauthenticatedError,
    UnavailableError,
)
from callsheet.within import within
from callsheet_immich_agent.policy import Action, Command, QueueSeen

ANSWER_BYTES_MAX: Final = 1024 * 1024
"""The longest answer that is read."""
QUEUES_MAX: Final = 200
"""The most queues that a server may have; Immich has 19."""
NAME_CHARS_MAX: Final = 100
COUNT_MAX: Final = 2**53
"""No count in an answer is greater, nor a part of a version: JSON could not tell it exactly."""
REASON_CHARS_MAX: Final = 200
RETRY_AFTER_S_MAX: Final = 300.0
"""The longest wait that a server may ask for."""

_NAMED_PERMISSION: Final = re.compile(r"[Mm]issing required permission:? *([A-Za-z]{1,40}\.[A-Za-z]{1,40})")


class Generation(StrEnum):
    """The two ways to speak about queues. Servers from 2.4 to 3.2 know both."""

    JOBS = "jobs"
    QUEUES = "queues"


_PERMISSIONS: Final[Mapping[tuple[Generation, str], str]] = {
    (Generation.JOBS, "GET"): "job.read",
    (Generation.JOBS, "PUT"): "job.create",
    (Generation.QUEUES, "GET"): "queue.read",
    (Generation.QUEUES, "PUT"): "queue.update",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where a server is and how to be let in."""

    address: str
    """The server's address, with or without ``/api``."""
    key: str = field(repr=False)
    ca_file: Path | None = None
    """Certificates to trust instead of the machine's."""
    deadline_s: float = 15.0
    """The longest that one call may take."""

    @property
    def root(self) -> str:
        """The address below which the calls are."""
        return self.address.rstrip("/").removesuffix("/api")


class Server:
    """One Immich server. Redirects are not followed, so that the key goes nowhere else."""

    def __init__(self, access: Access) -> None:
        """Prepare to ask; nothing is asked yet.

        Raises:
            InvalidError: The address, the key or the file of certificates cannot be used.
        """
        if not access.key.isascii() or not access.key.isprintable() or not access.key.strip():
            raise InvalidError(
                "API_KEY: has to be printable ASCII; copy it again from Immich", field="API_KEY"
            )
        self._access = access
        self._generation: Generation | None = None
        self._version = ""
        try:
            self._http = httpx.AsyncClient(
                base_url=f"{access.root}/api/",
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                verify=_trust(access.ca_file),
                timeout=access.deadline_s,
                follow_redirects=False,
                trust_env=False,
            )
        except httpx.InvalidURL as error:
            raise InvalidError(f"IMMICH_URL is not right: {error}", field="IMMICH_URL") from None

    async def __aenter__(self) -> Self:
        """Open nothing; connections come with calls."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._http.aclose()

    @property
    def generation(self) -> Generation | None:
        """The generation that the server was found to speak, None before the first look."""
        return self._generation

    @property
    def version(self) -> str:
        """The server's version, such as ``3.2.2``; empty before the first look."""
        return self._version

    async def queues(self) -> list[QueueSeen]:
        """Return every queue of the server.

        Raises:
            UnavailableError: It cannot be reached, is too slow, has a fault or answers what Immich would not.
            OverloadedError: It asks to come back later.
            UnauthenticatedError: The key is wrong.
            DeniedError: The key lacks a permission, which the message names.
        """
        generation = self._generation
        if generation is None:
            generation, found = await self._detect()
        else:
            try:
                found = await self._list(generation)
            except (NotFoundError, DeniedError):
                generation, found = await self._detect()
        seen = read_queues(found)
        self._generation = generation
        return seen

    async def apply(self, action: Action) -> None:
        """Pause or resume a queue.

        Raises:
            NotFoundError: There is no such queue any more.
            StateError: The server refused.
            CallsheetError: As `queues` does. After an `UnavailableError` nobody knows whether it was done.
        """
        pause = action.command is Command.PAUSE
        if self._generation is None:
            await self.queues()
        generation = self._generation or Generation.QUEUES
        content: dict[str, object] = (
            {"command": "pause" if pause else "resume", "force": False}
            if generation is Generation.JOBS
            else {"isPaused": pause}
        )
        path = f"{generation}/{quote(action.queue, safe='')}"
        await self._ask("PUT", path, permission=_PERMISSIONS[generation, "PUT"], content=content)

    async def _detect(self) -> tuple[Generation, object]:
        """Find out the generation by asking; a key with the permissions of the older one is enough.

        The key goes only to what tells a version as Immich does, which needs none.
        """
        try:
            found = await self._ask("GET", "server/version", permission="", key=False)
        except NotFoundError:  # as it was called until 1.117
            found = await self._ask("GET", "server-info/version", permission="", key=False)
        parts = [_as_object(found).get(part) for part in ("major", "minor", "patch")]
        if not all(_counts(part) for part in parts):
            raise UnavailableError(f"{_shown(self._access.root)} tells no version: is it Immich?")
        self._version = ".".join(str(part) for part in parts)
        try:
            return Generation.QUEUES, await self._list(Generation.QUEUES)
        except NotFoundError:
            return Generation.JOBS, await self._list(Generation.JOBS)
        except DeniedError as denied:
            try:
                return Generation.JOBS, await self._list(Generation.JOBS)
            except (DeniedError, NotFoundError):
                raise denied from None

    async def _list(self, generation: Generation) -> object:
        return await self._ask("GET", generation, permission=_PERMISSIONS[generation, "GET"])

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        permission: str,
        content: Mapping[str, object] | None = None,
        key: bool = True,
    ) -> object:
        root = self._access.root
        headers = {"x-api-key": self._access.key} if key else {}
        try:
            async with (
                within(self._access.deadline_s),
                self._http.stream(method, path, headers=headers, json=content) as answer,
            ):
                body = await _read(answer)
        except (TimeoutError, httpx.TimeoutException):
            wait_s = self._access.deadline_s
            raise UnavailableError(f"{_shown(root)} did not answer within {wait_s:g} s") from None
        except (httpx.HTTPError, OSError) as error:
            reason = (str(error) or type(error).__name__)[:REASON_CHARS_MAX]
            raise UnavailableError(f"{_shown(root)} cannot be reached: {reason}") from None
        if not answer.is_success:
            raise _fault(answer, body, place=f"{_shown(root)}/api/{path}", permission=permission)
        try:
            return json.loads(body) if body.strip() else None
        except (ValueError, RecursionError):
            raise UnavailableError(f"{_shown(root)}/api/{path} answers no JSON: is it Immich?") from None


def read_queues(found: object) -> list[QueueSeen]:
    """Return the queues in an answer of either generation.

    Raises:
        UnavailableError: It is no such answer.
    """
    pairs: list[tuple[object, object, object]]
    if isinstance(found, list):
        listed = [_as_object(one) for one in cast("list[object]", found)]
        pairs = [(one.get("name"), one.get("isPaused"), one.get("statistics")) for one in listed]
    else:
        named = {name: _as_object(one) for name, one in _as_object(found).items()}
        pairs = [
            (name, _as_object(one.get("queueStatus")).get("isPaused"), one.get("jobCounts"))
            for name, one in named.items()
        ]
    if not 0 < len(pairs) <= QUEUES_MAX or len({str(name) for name, _, _ in pairs}) < len(pairs):
        raise UnavailableError(f"the list of queues has {len(pairs)} entries or one twice: is it Immich?")
    return [_queue(name, paused, _as_object(counts)) for name, paused, counts in pairs]


def _queue(name: object, paused: object, counts: Mapping[str, object]) -> QueueSeen:
    if not isinstance(name, str) or not name or len(name) > NAME_CHARS_MAX or not name.isprintable():
        raise UnavailableError("a queue in the list has no usable name: is it Immich?")
    if not isinstance(paused, bool):
        raise UnavailableError(f"the queue {name} does not say whether it is paused: is it Immich?")

    def count(key: str) -> int:
        value = counts.get(key)
        if not _counts(value):
            raise UnavailableError(f"the queue {name} does not say how many jobs are {key}: is it Immich?")
        return value

    return QueueSeen(
        name=name,
        paused=paused,
        active=count("active"),
        waiting=count("waiting"),
        held=count("paused"),
        delayed=count("delayed"),
        failed=count("failed"),
    )


def _counts(value: object) -> TypeIs[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= COUNT_MAX


def _as_object(found: object) -> dict[str, object]:
    if not isinstance(found, dict):
        raise UnavailableError("the answer has another form than Immich gives it: is it Immich?")
    return cast("dict[str, object]", found)


async def _read(answer: httpx.Response) -> bytes:
    """Return the body as it came: what is compressed although nobody asked for it is not unpacked."""
    content = bytearray()
    async for piece in answer.aiter_raw():
        content += piece
        if len(content) > ANSWER_BYTES_MAX:
            raise UnavailableError(f"the server answers more than {ANSWER_BYTES_MAX:,} bytes")
    return bytes(content)


def _fault(answer: httpx.Response, body: bytes, *, place: str, permission: str) -> CallsheetError:
    """Return what an answer that is no success means."""
    status = answer.status_code
    if answer.has_redirect_location:
        return UnavailableError(f"{place} redirects elsewhere: set IMMICH_URL to the address behind it")
    fault: CallsheetError
    match status:
        case 401:
            fault = UnauthenticatedError(f"{place}: the API key is wrong or was deleted; make one in Immich")
        case 403:
            named = _NAMED_PERMISSION.search(body.decode(errors="replace"))
            lacking = named[1] if named else permission
            hint = "" if named else ", and its user has to be an administrator"
            fault = DeniedError(f"{place}: the API key needs the permission {lacking}{hint}")
        case 404:
            fault = NotFoundError(f"{place}: there is no such thing")
        case 429:
            fault = OverloadedError(f"{place}: asked too often", retry_after_s=_retry_after_s(answer))
        case _ if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            fault = UnavailableError(f"{place} answers {status}")
        case _:
            fault = StateError(f"{place} refuses with {status}")
    return fault


def _retry_after_s(answer: httpx.Response) -> float:
    asked = answer.headers.get("Retry-After", "")
    return min(float(asked), RETRY_AFTER_S_MAX) if asked.isascii() and asked.isdigit() else 1.0


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise InvalidError(
            f"CALLSHEET_IMMICH_CA_FILE: {ca_file} holds no certificates that can be read ({error})",
            field="immich_ca_file",
        ) from None


def _shown(address: str) -> str:
    """Return an address without credentials in it."""
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
