"""A controller is steered through the scheduler, by REST and by commands, and says how its server is."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import grpc
import pytest
from callsheet_immich_agent.main import share
from callsheet_immich_agent.policy import UNMANAGED
from callsheet_immich_agent.remembered import peek
from callsheet_immich_agent.settings import ImmichWorkerSettings

from callsheet.acting import me
from callsheet.channel import open_channel
from callsheet.errors import StateError
from callsheet.v1.immich_service_pb2 import ReportImmichServerRequest
from callsheet.v1.immich_service_pb2_grpc import ImmichServiceStub
from tests.support.command_line import CommandLine
from tests.support.immich_queues import NAMES, SimulatedImmich
from tests.support.immich_server import KEY, StandIn, standing_in
from tests.support.patience import PATIENCE_S
from tests.support.processes import until
from tests.support.rest import JOBS, OBJECTS, Json
from tests.support.steered import Steered

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/api/immich"


def settings(steered: Steered, immich: StandIn, folder: Path, name: str = "immich") -> ImmichWorkerSettings:
    return ImmichWorkerSettings.model_validate(
        {
            "scheduler": steered.scheduler.address,
            "host": "borea",
            "immich_url": immich.address.replace("//", "//somebody:secret@"),
            "immich_api_key": KEY,
            "immich_name": name,
            "immich_poll_interval_s": 0.5,
            "immich_state": folder / "state",
        }
    )


@asynccontextmanager
async def controller(
    steered: Steered,
    immich: StandIn,
    folder: Path,
    name: str = "immich",
    *,
    dry_run: bool = False,
    alone: bool = True,
) -> AsyncGenerator[None]:
    stop = asyncio.Event()
    running = asyncio.create_task(share(settings(steered, immich, folder, name), stop, dry_run=dry_run))
    try:
        yield
    finally:
        stop.set()
        assert await running == 0
    assert not alone or immich.immich.open() == set(NAMES)


def server_in(answer: Json, name: str) -> Json:
    nothing: Json = {}
    return next((one for one in OBJECTS.validate_python(answer["data"]) if one["name"] == name), nothing)


async def once(steered: Steered, name: str = "immich", **wanted: object) -> Json:
    """Return the server when REST shows it so."""

    def shown(answer: Json) -> bool:
        server = server_in(answer, name)
        return bool(server) and {key: server[key] for key in wanted} == wanted

    return server_in(await steered.rest.until(PATH, shown), name)


async def change(steered: Steered, **wanted: object) -> Json:
    return await steered.rest.ask("PATCH", PATH, wanted)


def held_back() -> SimulatedImmich:
    """Return a server whose queues were paused by the daemon."""
    found = SimulatedImmich({"smartSearch": 4000, "ocr": 4000}, follow_on={})
    for name in set(NAMES) - UNMANAGED:
        found.pause(name)
    return found


async def test_what_is_decided_of_a_server_holds_and_outlives_the_scheduler(
    steered: Steered, tmp_path: Path
) -> None:
    async with standing_in(held_back()) as immich, controller(steered, immich, tmp_path):
        queues = immich.immich.queues
        server = await once(steered, reach="reached", applied=True)
        assert (server["address"], server["version"], server["limit"]) == (immich.address, "3.2.2", 1)
        assert (server["limitIsOwn"], server["orderIsOwn"], server["paused"]) == (True, True, False)
        await until(lambda: immich.commands == ["resume smartSearch"])

        # A paused controller asks nothing: neither of what is idle, nor of what would be next.
        paused = await change(steered, paused=True)
        assert (paused["paused"], paused["pausedBy"]) == (True, "admin")
        await once(steered, applied=True, paused=True)
        queues["smartSearch"].waiting, queues["smartSearch"].active = 0, []
        looks = len(immich.asked)
        await until(lambda: len(immich.asked) > looks + 6)
        assert immich.commands == ["resume smartSearch"]

        # The order and the limit hold when it goes on, also over another scheduler.
        decided = await change(
            steered, paused=False, limit=2, interval=0.75, order=["ocr", "videoConversion"]
        )
        assert (decided["limit"], decided["order"]) == (2, ["ocr", "videoConversion"])
        queues["videoConversion"].waiting = 4000
        await once(steered, applied=True, paused=False)
        await until(lambda: {"resume ocr", "resume videoConversion"} <= set(immich.commands))
        await steered.scheduler.kill()
        await steered.scheduler.start()
        server = await once(steered, reach="reached", applied=True)
        shown = OBJECTS.validate_python(server["queues"])
        assert [queue["name"] for queue in shown][:2] == ["ocr", "videoConversion"]
        assert (server["limit"], server["limitIsOwn"], server["orderIsOwn"]) == (2, False, False)
        assert (server["interval"], server["intervalIsOwn"]) == (0.75, False)

        # With a limit of none none begins, and null is what the settings say.
        await change(steered, limit=0)
        queues["ocr"].waiting = queues["videoConversion"].waiting = 0
        immich.per_look_s = 10.0
        await until(lambda: not immich.immich.open() - UNMANAGED)
        server = await change(steered, limit=None, order=None, interval=None)
        assert (server["limit"], server["limitIsOwn"], server["orderIsOwn"]) == (1, True, True)
        assert (server["interval"], server["intervalIsOwn"]) == (0.5, True)
    assert immich.immich.wrong_pauses == 0
    await once_gone(steered)


async def once_gone(steered: Steered) -> None:
    """Wait until a controller that has ended is shown no more."""
    await steered.rest.until(PATH, lambda answer: answer["data"] == [])


async def test_commands_show_and_steer_one_of_several_servers(steered: Steered, tmp_path: Path) -> None:
    callsheet = CommandLine(tmp_path, scheduler=steered.scheduler.address)
    nobody = await callsheet.run("immich", "status")
    assert (nobody.code, nobody.out) == (0, "")
    async with (
        standing_in(held_back()) as one,
        standing_in() as other,
        controller(steered, one, tmp_path),
        controller(steered, other, tmp_path, "cabin"),
    ):
        await once(steered, reach="reached", applied=True)
        await once(steered, "cabin", reach="reached", applied=True)
        unsaid = await callsheet.run("immich", "pause")
        assert (unsaid.code, unsaid.err) == (2, "Error: name: say which: there are cabin, immich\n")
        paused = await callsheet.run("immich", "pause", "--server", "cabin", "--json")
        assert paused.document()["paused_by"] == me()
        await once(steered, "cabin", paused=True, applied=True)
        shown = await callsheet.run("immich", "status", "--server", "cabin")
        assert f"paused by {me()}" in shown.out
        await callsheet.run("immich", "resume", "--server", "cabin")
        ordered = await callsheet.run("immich", "order", "ocr", "--server", "immich", "--json")
        assert [queue["name"] for queue in OBJECTS.validate_python(ordered.document()["queues"])][:2] == [
            "ocr",
            "sidecar",
        ]
        wrong = await callsheet.run("immich", "order", "smartSerch", "--server", "immich")
        assert wrong.code == 2
        assert "order: 'smartSerch' is no queue of the server; there are " in wrong.err
        assert (await callsheet.run("immich", "limit", "many")).code == 2
        assert (await callsheet.run("immich", "limit", "3", "--server", "immich")).code == 0
        assert (await callsheet.run("immich", "interval", "soon", "--server", "immich")).code == 2
        rare = await callsheet.run("immich", "interval", "0.1", "--server", "immich")
        assert (rare.code, "interval_s: must be from 0.5 to 3600 seconds" in rare.err) == (2, True)
        every = await callsheet.run("immich", "interval", "0.8", "--server", "immich")
        assert " 0.8 s " in every.out
        await callsheet.run("immich", "interval", "own", "--server", "immich")
        own = await callsheet.run("immich", "order", "own", "--server", "immich", "--json")
        await callsheet.run("immich", "limit", "own", "--server", "immich")
        assert not own.document().get("order_decided")
        await once(steered, limitIsOwn=True, orderIsOwn=True, intervalIsOwn=True, applied=True)
    await once_gone(steered)


async def test_a_server_that_cannot_be_reached_is_shown_with_the_reason(
    steered: Steered, tmp_path: Path
) -> None:
    async with standing_in() as immich, controller(steered, immich, tmp_path):
        await steered.rest.until(PATH, lambda answer: bool(server_in(answer, "immich").get("queues")))
        permissions, immich.permissions = immich.permissions, frozenset()
        server = await once(steered, reach="unreachable")
        assert "needs the permission queue.read" in str(server["error"])
        assert len(OBJECTS.validate_python(server["queues"])) == len(NAMES)
        immich.permissions = permissions
        await once(steered, reach="reached", error=None)
    await once_gone(steered)


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"server": "nowhere", "paused": True}, "", "there is no Immich server 'nowhere'; there are immich"),
        ({"order": ["ocr", "ocr"]}, "order", "names 'ocr' twice"),
        ({"order": ["\u0000"]}, "order", "is no queue of the server"),
        ({"limit": 101}, "limit", "less than or equal to 100"),
        ({"interval": 0.1}, "interval", "greater than or equal to 0.5"),
        ({"limit": "2"}, "limit", "must be a number"),
    ],
)
async def test_wrong_changes_are_refused_with_field_and_remedy(
    steered: Steered, body: Json, field: str, says: str
) -> None:
    async with reported(steered, "http://one"):
        status, wrong, detail = await steered.rest.refused("PATCH", PATH, body)

    assert (status, wrong) == (422 if field else 404, field)
    assert says in detail


async def test_two_servers_of_one_name_are_told_apart(steered: Steered) -> None:
    async with reported(steered, "http://one"):
        with pytest.raises(grpc.aio.AioRpcError, match="CALLSHEET_IMMICH_NAME"):
            async with reported(steered, "http://other"):
                pass


@asynccontextmanager
async def reported(steered: Steered, address: str, **more: str) -> AsyncGenerator[None]:
    """Report a server as a controller does. A leader that is not there for a moment is waited for."""
    async with open_channel(steered.scheduler.address) as channel:
        immich = ImmichServiceStub(channel)

        async def report(*, leaving: bool) -> None:
            request = ReportImmichServerRequest(
                name=more.get("name", "immich"),
                controller=more.get("controller", ""),
                address=address,
                leaving=leaving,
            )
            while True:
                try:
                    await immich.ReportImmichServer(request, timeout=PATIENCE_S)
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.UNAVAILABLE:
                        raise
                    await asyncio.sleep(0.05)
                else:
                    return

        await report(leaving=False)
        try:
            yield
        finally:
            await report(leaving=True)


@pytest.mark.parametrize("name", ["immich", "cabin"])
async def test_a_second_controller_of_a_server_is_refused_and_ends_nothing_of_the_first(
    steered: Steered, name: str
) -> None:
    async with reported(steered, "http://one", controller="a"):
        with pytest.raises(grpc.aio.AioRpcError, match="another controller steers http://one as 'immich'"):
            async with reported(steered, "http://one", controller="b", name=name):
                pass
        async with open_channel(steered.scheduler.address) as channel:
            leaving = ReportImmichServerRequest(name="immich", controller="b", leaving=True)
            await ImmichServiceStub(channel).ReportImmichServer(leaving, timeout=PATIENCE_S)
        assert server_in(await steered.rest.ask("GET", PATH), "immich")["address"] == "http://one"
    async with reported(steered, "http://one", controller="b", name=name):
        pass


async def test_a_second_controller_stands_by_and_takes_over_when_the_first_ends(
    steered: Steered, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with standing_in(held_back()) as immich, AsyncExitStack() as first:
        await first.enter_async_context(controller(steered, immich, tmp_path / "one", alone=False))
        await until(lambda: immich.commands == ["resume smartSearch"])
        async with controller(steered, immich, tmp_path / "two"):
            await until(lambda: "this one stands by until that one ends" in caplog.text)
            looks = len(immich.asked)
            await until(lambda: len(immich.asked) > looks + 8)
            assert immich.commands == ["resume smartSearch"]
            assert [record.message for record in caplog.records].count("connected") == 1
            await first.aclose()
            await until(lambda: caplog.text.count("steers the server") == 2)
    await once_gone(steered)


async def test_a_controller_that_finds_another_in_its_place_ends_and_leaves_the_queues_to_that_one(
    steered: Steered, tmp_path: Path
) -> None:
    async with standing_in(held_back()) as immich, open_channel(steered.scheduler.address) as channel:
        replaced = asyncio.create_task(share(settings(steered, immich, tmp_path), asyncio.Event()))
        await until(lambda: immich.commands == ["resume smartSearch"])
        running = f"{JOBS}?type=immich_queue&status=running"
        await steered.rest.until(running, lambda answer: answer["data"] != [])
        (lock,) = (tmp_path / "state").glob("*.lock")

        def report(controller: str, *, leaving: bool) -> ReportImmichServerRequest:
            return ReportImmichServerRequest(
                name="immich", controller=controller, address=immich.address, leaving=leaving
            )

        # As after a change of leaders at which the other one reported first.
        reports = ImmichServiceStub(channel)
        while not replaced.done():
            with suppress(grpc.aio.AioRpcError):  # the one is refused, or no leader is there for a moment
                await reports.ReportImmichServer(report(lock.read_text(), leaving=True), timeout=PATIENCE_S)
                await reports.ReportImmichServer(report("other", leaving=False), timeout=PATIENCE_S)
            await asyncio.sleep(0.05)

        with pytest.raises(StateError, match=f"ends here: another controller steers {immich.address}"):
            await replaced
        assert immich.commands == ["resume smartSearch"]
        assert peek(tmp_path / "state", settings(steered, immich, tmp_path).immich_url) == {}
        await steered.rest.until(running, lambda answer: answer["data"] == [])
        with suppress(grpc.aio.AioRpcError):  # a leader that is new knows nothing of it
            await reports.ReportImmichServer(report("other", leaving=True), timeout=PATIENCE_S)
    await once_gone(steered)


async def test_a_dry_run_by_leases_asks_neither_server_nor_scheduler(
    steered: Steered, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with standing_in(held_back()) as immich, controller(steered, immich, tmp_path, dry_run=True):
        await until(lambda: "would ask for" in caplog.text)
        for name in NAMES:
            immich.immich.resume(name)

    assert "a lease for smartSearch" in caplog.text
    assert immich.commands == []
    assert await steered.rest.ask("GET", PATH) == {"data": []}
