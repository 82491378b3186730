"""A channel asks the schedulers that it was told of, and follows to the one that leads."""

import asyncio

import grpc
import pytest

from callsheet.channel import open_channel
from callsheet.client import Client
from callsheet.client.repeating import Patience
from callsheet.errors import InvalidError, StandbyError, UnavailableError
from callsheet.v1.job_service_pb2 import GetStatsRequest, GetStatsResponse, ReadLogRequest, ReadLogResponse
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from callsheet.wire_errors import from_rpc_error
from tests.support.scripted_services import Script, serving

QUICK = Patience(total_s=10, pause_s=0.02, pause_max_s=0.05)

NOWHERE = "127.0.0.1:1"


def leads() -> Script:
    """Return a scheduler that leads."""
    script = Script()
    script.will("GetStats", GetStatsResponse(completed_last_hour=7))
    script.will("ReadLog", [ReadLogResponse(text="one\n")])
    return script


def stands_by(leader: str = "") -> Script:
    """Return a scheduler that stands by, and names *leader*."""
    script = Script()
    script.will("GetStats", StandbyError("this scheduler stands by", leader=leader))
    script.will("ReadLog", StandbyError("this scheduler stands by", leader=leader))
    return script


@pytest.mark.parametrize("target", ["", " , "])
def test_a_target_that_names_nobody_is_refused(target: str) -> None:
    with pytest.raises(InvalidError) as caught:
        open_channel(target)

    assert caught.value.field == "scheduler"


async def test_a_client_that_knows_a_standby_alone_is_led_to_the_leader() -> None:
    leader = leads()
    async with serving(leader, token="a" * 16) as there:
        standby = stands_by(there)
        async with (
            serving(standby, token="a" * 16) as here,
            Client(here, token="a" * 16, patience=QUICK) as client,
        ):
            first = await client.stats()
            second = await client.stats()

    assert first.completed_last_hour == second.completed_last_hour == 7
    assert len(standby.asked["GetStats"]) == 1
    assert len(leader.asked["GetStats"]) == 2


async def test_a_stream_is_led_to_the_leader() -> None:
    async with (
        serving(leads()) as there,
        serving(stands_by(there)) as here,
        Client(here, patience=QUICK) as client,
    ):
        assert [piece async for piece in client.read_log("a job")] == ["one\n"]


async def test_where_one_scheduler_is_gone_the_next_is_asked() -> None:
    leader = leads()
    async with serving(leader) as there, Client(f"{NOWHERE}, {there}", patience=QUICK) as client:
        assert (await client.stats()).completed_last_hour == 7


async def test_names_and_addresses_may_stand_side_by_side() -> None:
    leader = leads()
    async with serving(leader) as there:
        port = there.rpartition(":")[2]
        async with Client(f"[::1]:1,localhost:{port}", patience=QUICK) as client:
            assert (await client.stats()).completed_last_hour == 7


async def test_when_the_leader_has_gone_the_named_schedulers_are_asked_again() -> None:
    first, second, standby = leads(), leads(), stands_by()
    async with serving(second) as later:
        async with serving(first) as there:
            standby.will("GetStats", StandbyError("", leader=there), StandbyError("", leader=later))
            async with serving(standby) as here:
                client = Client(here, patience=QUICK)
                await client.stats()
                assert len(first.asked["GetStats"]) == 1
        async with client, serving(standby, port=int(here.rpartition(":")[2])):
            await client.stats()

    assert len(second.asked["GetStats"]) == 1


async def test_a_leader_that_answers_too_late_is_left_for_the_others() -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    frozen = Script()
    frozen.will("GetStats", never)
    patience = Patience(total_s=60, try_s=0.5, pause_s=0.02, pause_max_s=0.05)
    async with (
        serving(frozen) as here,
        serving(leads()) as there,
        Client(f"{here},{there}", patience=patience) as client,
    ):
        assert (await client.stats()).completed_last_hour == 7


@pytest.mark.parametrize(
    "leader", ["ipv4:10.0.0.1:1,10.0.0.2:1", "dns:///x:1", "unix:/run/x", "x", "x:70000"]
)
async def test_what_is_no_address_is_not_followed(leader: str) -> None:
    standby = stands_by(leader)
    async with serving(standby) as here, open_channel(here) as channel:
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await JobServiceStub(channel).GetStats(GetStatsRequest(), timeout=30)

            error = from_rpc_error(caught.value)
            assert isinstance(error, StandbyError)
            assert error.leader == leader

    assert len(standby.asked["GetStats"]) == 2


async def test_two_that_send_to_one_another_are_not_asked_for_ever() -> None:
    here, there = stands_by(), stands_by()
    async with serving(here) as one, serving(there) as other:
        here.will("GetStats", StandbyError("", leader=other))
        there.will("GetStats", StandbyError("", leader=one))
        patience = Patience(total_s=0.3, pause_s=0.05, pause_max_s=0.05)
        async with Client(one, patience=patience) as client:
            with pytest.raises(UnavailableError):
                await client.stats()

    assert 2 <= len(here.asked["GetStats"]) + len(there.asked["GetStats"]) <= 14


async def test_a_closed_channel_has_no_calls_left() -> None:
    async with serving(leads()) as here:
        channel = open_channel(here)
        call = JobServiceStub(channel).ReadLog(ReadLogRequest())
        await channel.close()

        with pytest.raises((asyncio.CancelledError, grpc.aio.AioRpcError)):
            await anext(aiter(call))
