"""The agent drains a server, remembers what it paused, and opens everything again, whatever goes wrong."""

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import rmtree

import pytest
from callsheet_immich_agent.agent import WAIT_S_MAX, Agent, Manner, wait_s
from callsheet_immich_agent.client import Access, Server
from callsheet_immich_agent.policy import UNMANAGED, Hold, Rules
from callsheet_immich_agent.remembered import Remembered

from callsheet.errors import DeniedError, InvalidError, OverloadedError, UnavailableError
from callsheet.service.clock import SystemClock
from tests.support.immich_queues import NAMES
from tests.support.immich_server import KEY, StandIn, refusal
from tests.support.patience import PATIENCE_S
from tests.support.processes import until

Make = Callable[..., Agent]
Remember = Callable[[str], Remembered]


@pytest.fixture
def remember(tmp_path: Path) -> Iterator[Remember]:
    """Return what opens the file of a server; it takes it from whoever has it."""
    opened: dict[str, Remembered] = {}

    def remembering(server: str) -> Remembered:
        if server in opened:
            opened[server].close()
        opened[server] = Remembered(tmp_path / "state", server)
        return opened[server]

    yield remembering
    for one in opened.values():
        one.close()


@pytest.fixture
def make(immich: StandIn, server: Server, remember: Remember) -> Make:
    """Return a maker of agents that remember in the same file."""

    def making(rules: Rules | None = None, *, dry_run: bool = False) -> Agent:
        return Agent(
            server,
            rules or Rules(),
            remember(immich.address),
            clock=SystemClock(),
            chance=random.Random(1).random,  # noqa: S311 -- no secret
            deadline_s=0.5,
            manner=Manner(dry_run=dry_run),
        )

    return making


@pytest.mark.parametrize("new", [True, False])
async def test_a_mixed_backlog_drains_and_everything_is_open_at_the_end(
    immich: StandIn, make: Make, *, new: bool
) -> None:
    immich.queues_api, immich.per_look_s = new, 10.0
    for name, jobs in {"sidecar": 6, "smartSearch": 8, "videoConversion": 3}.items():
        immich.immich.queues[name].waiting = jobs
    agent, before = make(Rules(limit=2)), len(NAMES)
    while immich.immich.left():
        await agent.look()
        opened = len(immich.immich.open() - UNMANAGED)
        assert opened <= max(2, before)
        before = opened
    left = await agent.restore(5.0)

    assert left == frozenset()
    assert immich.immich.wrong_pauses == 0
    assert immich.immich.open() == set(NAMES)


async def test_an_agent_that_was_killed_is_followed_by_one_that_opens_what_it_paused(
    immich: StandIn, make: Make
) -> None:
    immich.immich.queues["ocr"].paused = True
    immich.immich.queues["sidecar"].waiting = 4
    rules = Rules(adopt=False)
    await make(rules).look()
    killed_with = set(NAMES) - immich.immich.open()
    second = make(rules)
    await second.look()
    left = await second.restore(5.0)

    assert len(killed_with) == len(NAMES) - len(UNMANAGED) - 1
    assert left == frozenset()
    assert set(NAMES) - immich.immich.open() == {"ocr"}


async def test_nothing_is_asked_in_a_dry_run(immich: StandIn, make: Make) -> None:
    immich.immich.queues["sidecar"].waiting = 4
    agent = make(dry_run=True)
    await agent.look()
    await agent.restore(5.0)

    assert immich.commands == []
    assert {line.split()[0] for line in immich.asked} == {"GET"}


async def test_what_is_refused_for_one_queue_frees_no_place(immich: StandIn, make: Make) -> None:
    immich.immich.queues["ocr"].waiting = 1
    agent = make()
    await agent.look()
    immich.immich.advance(60)
    for _ in range(2):
        await agent.look()
    immich.commands.clear()
    immich.immich.queues["sidecar"].waiting = 3
    immich.refuses = [refusal(400, "not now")]
    await agent.look()

    assert immich.commands == []
    await agent.look()
    assert immich.commands == ["pause ocr", "resume sidecar"]


async def test_a_queue_that_the_server_has_no_more_needs_no_opening(immich: StandIn, make: Make) -> None:
    immich.queues_api = False
    immich.immich.queues["ocr"].paused = True
    agent = make()
    await agent.look()
    del immich.immich.queues["ocr"]
    await agent.look()
    left = await agent.restore(5.0)

    assert left == frozenset()
    assert immich.immich.open() == set(NAMES) - {"ocr"}


async def test_the_first_missing_permission_ends_a_look(immich: StandIn, make: Make) -> None:
    immich.permissions -= {"queue.update"}
    with pytest.raises(DeniedError, match=r"queue\.update"):
        await make().look()

    assert [line.split()[0] for line in immich.asked] == ["GET", "PUT"]


async def test_queues_that_cannot_be_opened_at_the_end_are_named_and_remembered(
    immich: StandIn, make: Make, tmp_path: Path
) -> None:
    await make().look()
    paused = set(NAMES) - immich.immich.open()
    immich.permissions = frozenset()
    left = await make().restore(5.0)
    (path,) = (tmp_path / "state").glob("*.json")
    kept = json.loads(path.read_text())["holds"]
    immich.permissions |= {"queue.read", "queue.update"}
    then = await make().restore(5.0)

    assert left == paused == {name for name, hold in kept.items() if hold == "ours"}
    assert then == frozenset()
    assert immich.immich.open() == set(NAMES)


async def test_queues_are_not_taken_for_gone_because_the_server_could_not_be_looked_at(
    immich: StandIn, make: Make
) -> None:
    immich.queues_api = False
    await make().look()
    immich.answers = [refusal(500, "not now"), refusal(500, "not now")]
    left = await make().restore(PATIENCE_S)

    assert left == frozenset()
    assert immich.immich.open() == set(NAMES)


async def test_an_agent_told_to_stop_waits_for_no_answer_and_opens_what_it_may_have_paused(
    immich: StandIn, remember: Remember
) -> None:
    immich.silent, immich.silent_to = asyncio.Event(), frozenset({"PUT"})
    stop = asyncio.Event()
    async with Server(Access(address=immich.address, key=KEY, deadline_s=100.0)) as server:
        agent = Agent(
            server,
            Rules(),
            remember(immich.address),
            clock=SystemClock(),
            chance=lambda: 0.0,
            deadline_s=100.0,
        )
        running = asyncio.create_task(agent.run(stop))
        await until(lambda: immich.asked[-1:] == ["PUT /api/queues/metadataExtraction"])
        stop.set()
        async with asyncio.timeout(PATIENCE_S):
            await running
        immich.silent_to = frozenset()
        left = await agent.restore(5.0)

    assert left == frozenset()
    assert "resume metadataExtraction" in immich.commands


async def test_nothing_is_paused_that_cannot_be_remembered(
    immich: StandIn, make: Make, tmp_path: Path
) -> None:
    agent = make()
    rmtree(tmp_path / "state")
    with pytest.raises(UnavailableError, match="cannot be written"):
        await agent.look()

    assert immich.commands == []


def test_a_damaged_file_is_put_aside(remember: Remember, tmp_path: Path) -> None:
    remember("a").keep({"ocr": Hold.OURS})
    (path,) = tmp_path.glob("state/*.json")
    path.write_text('{"holds": {"ocr": "whose"}}')

    assert remember("a").load() == {}
    assert len(list(tmp_path.glob("state/*.json.damaged"))) == 1


def test_a_server_is_steered_by_one_process_at_a_time(remember: Remember, tmp_path: Path) -> None:
    remember("a").keep({"ocr": Hold.OURS})
    remember("b").keep({"ocr": Hold.THEIRS})
    with pytest.raises(InvalidError, match="another process steers a"):
        Remembered(tmp_path / "state", "a")

    assert remember("a").load() == {"ocr": Hold.OURS}


def test_waits_grow_with_failures_and_have_an_end() -> None:
    waits = [wait_s(10.0, failures, 1.0) for failures in range(9)]

    assert waits == [10, 10, 20, 40, 80, 160, WAIT_S_MAX, WAIT_S_MAX, WAIT_S_MAX]
    assert wait_s(10.0, 1, 0.0) == 5.0
    assert wait_s(10.0, 1, 0.0, OverloadedError("full", retry_after_s=99)) == 99
