"""The client speaks both generations, names what a key lacks, and gives the key away nowhere."""

import asyncio
import logging
from gzip import compress
from pathlib import Path

import pytest
from callsheet_immich_agent.client import ANSWER_BYTES_MAX, Access, Generation, Server
from callsheet_immich_agent.policy import Action, Command, QueueSeen
from starlette.responses import JSONResponse, RedirectResponse, Response

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
from tests.support.certificates import served_on_loopback
from tests.support.immich_queues import NAMES
from tests.support.immich_server import DAEMON_KEY, EVERYTHING, KEY, StandIn, refusal, standing_in

COUNTS = ("active", "waiting", "paused", "delayed", "failed")


def listed(name: str, **counts: int) -> Response:
    """Return an answer with one queue."""
    shown = {"name": name, "isPaused": False, "statistics": dict.fromkeys(COUNTS, 0) | counts}
    return JSONResponse([shown])


PAUSE = Action(command=Command.PAUSE, queue="ocr")
RESUME = Action(command=Command.RESUME, queue="ocr")


@pytest.mark.parametrize("generation", list(Generation))
async def test_both_generations_tell_the_same_and_do_the_same(
    immich: StandIn, server: Server, generation: Generation
) -> None:
    immich.queues_api = generation is Generation.QUEUES
    immich.jobs_api = not immich.queues_api
    immich.immich.queues["ocr"].waiting = 5
    immich.immich.queues["ocr"].delayed = 2
    immich.immich.start()
    found = {queue.name: queue for queue in await server.queues()}
    await server.apply(PAUSE)
    paused = {queue.name: queue for queue in await server.queues()}
    await server.apply(RESUME)

    assert server.generation is generation
    assert set(found) == set(NAMES)
    assert found["ocr"] == QueueSeen(name="ocr", paused=False, active=2, waiting=3, delayed=2)
    assert paused["ocr"] == QueueSeen(name="ocr", paused=True, active=2, held=3, delayed=2)
    assert immich.commands == ["pause ocr", "resume ocr"]
    assert server.version == "3.2.2"


async def test_the_key_of_the_daemon_is_enough_where_both_generations_are_served(
    immich: StandIn, server: Server
) -> None:
    immich.permissions = DAEMON_KEY
    await server.queues()

    assert server.generation is Generation.JOBS


async def test_a_server_that_changes_its_generation_is_followed(immich: StandIn, server: Server) -> None:
    immich.queues_api = False
    await server.queues()
    immich.queues_api, immich.jobs_api = True, False
    await server.queues()

    assert server.generation is Generation.QUEUES


@pytest.mark.parametrize(
    ("new", "lacking"),
    [(True, "queue.read"), (True, "queue.update"), (False, "job.read"), (False, "job.create")],
)
async def test_the_missing_permission_is_named(
    immich: StandIn, server: Server, *, new: bool, lacking: str
) -> None:
    immich.queues_api, immich.jobs_api = new, not new
    immich.permissions = EVERYTHING - {lacking}

    with pytest.raises(DeniedError, match=f"needs the permission {lacking}$"):
        await _look_and_pause(server)


async def test_a_key_of_no_administrator_is_told_so(immich: StandIn, server: Server) -> None:
    immich.administrator = False

    with pytest.raises(DeniedError, match=r"queue\.read, and its user has to be an administrator"):
        await server.queues()


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (refusal(500, "x"), UnavailableError, "answers 500"),
        (refusal(400, "x"), StateError, "refuses with 400"),
        (Response(status_code=429, headers={"Retry-After": "17"}), OverloadedError, "too often"),
        (RedirectResponse("https://elsewhere.example"), UnavailableError, "redirects elsewhere"),
        (Response("<html>"), UnavailableError, "no JSON"),
        (Response("{}"), UnavailableError, "is it Immich"),
        (Response('[{"name": "ocr"}]'), UnavailableError, "is it Immich"),
        (Response("[" * 100_000), UnavailableError, "no JSON"),
        (Response(compress(b"[]"), headers={"Content-Encoding": "gzip"}), UnavailableError, "no JSON"),
        (listed("ocr", waiting=2**64), UnavailableError, "does not say how many jobs are waiting"),
        (listed("ocr", waiting=True), UnavailableError, "does not say how many jobs are waiting"),
        (listed("ocr\x1b[2J"), UnavailableError, "no usable name"),
        (refusal(403, f"Missing required permission: {'a' * 9000}.b"), DeniedError, r"queue\.read, and"),
        (Response("x" * (ANSWER_BYTES_MAX + 1)), UnavailableError, "more than"),
    ],
)
async def test_what_a_server_does_wrong_is_an_error_that_says_so(
    immich: StandIn, server: Server, answer: Response, error: type[CallsheetError], says: str
) -> None:
    immich.jobs_api, immich.answers = False, [answer]

    with pytest.raises(error, match=says) as caught:
        await server.queues()
    assert not isinstance(caught.value, OverloadedError) or caught.value.retry_after_s == 17


async def test_a_server_of_before_1_118_tells_its_version_elsewhere(immich: StandIn, server: Server) -> None:
    immich.queues_api, immich.version, immich.version_at = False, (1, 100, 0), "/api/server-info/version"
    seen = await server.queues()

    assert (server.version, server.generation) == ("1.100.0", Generation.JOBS)
    assert len(seen) == len(NAMES)


async def test_what_is_asked_first_is_asked_in_the_way_of_the_server(immich: StandIn, server: Server) -> None:
    immich.queues_api = False
    await server.apply(PAUSE)

    assert immich.commands == ["pause ocr"]


async def test_a_queue_that_is_gone_is_not_found(immich: StandIn, server: Server) -> None:
    await server.queues()

    with pytest.raises(NotFoundError):
        await server.apply(Action(command=Command.PAUSE, queue="gone?x"))
    assert immich.asked[-1] == "PUT /api/queues/gone%3Fx"


async def test_the_key_is_not_given_to_a_server_that_is_no_immich(immich: StandIn, server: Server) -> None:
    immich.version = ()
    with pytest.raises(UnavailableError, match="tells no version: is it Immich"):
        await server.queues()

    assert immich.asked == []
    assert immich.keys == set()


async def test_silence_ends_at_the_deadline(immich: StandIn, server: Server) -> None:
    immich.silent = asyncio.Event()

    with pytest.raises(UnavailableError, match=r"did not answer within 0\.5 s"):
        await server.queues()


async def test_nobody_at_the_address_is_an_error_without_the_credentials_in_it() -> None:
    async with Server(Access(address="http://me:hidden@127.0.0.1:9", key=KEY)) as server:
        with pytest.raises(UnavailableError, match=r"http://127\.0\.0\.1:9 cannot be reached") as caught:
            await server.queues()
    assert "hidden" not in caught.value.message


async def test_a_wrong_key_is_told_and_the_key_shows_nowhere(
    immich: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    access = Access(address=f"{immich.address}/api/", key="another-key")
    async with Server(access) as server:
        with pytest.raises(UnauthenticatedError) as caught:
            await server.queues()

    assert immich.keys == {"another-key"}
    assert "another-key" not in f"{caught.value} {access} {vars(server)} {caplog.text}"


@pytest.mark.parametrize("key", ["", "  ", "a\nb", "schlüssel"])
def test_a_key_that_could_be_none_is_refused(key: str) -> None:
    with pytest.raises(InvalidError, match="API_KEY"):
        Server(Access(address="http://127.0.0.1:9", key=key))


async def test_a_certificate_has_to_stem_from_the_file(tmp_path: Path) -> None:
    served = served_on_loopback(tmp_path)
    async with standing_in(certificate=(served.certificate, served.key)) as immich:
        async with Server(Access(address=immich.address, key=KEY)) as distrusting:
            with pytest.raises(UnavailableError, match=r"(?i)certificate"):
                await distrusting.queues()
        async with Server(Access(address=immich.address, key=KEY, ca_file=served.authority)) as trusting:
            assert len(await trusting.queues()) == len(NAMES)
    with pytest.raises(InvalidError, match=r"CALLSHEET_IMMICH_CA_FILE"):
        Server(Access(address=immich.address, key=KEY, ca_file=tmp_path / "nothing.pem"))


async def _look_and_pause(server: Server) -> None:
    await server.queues()
    await server.apply(PAUSE)
