"""The error tree crosses the wire whole, and no stranger's words break it."""

from collections.abc import Iterator

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet import errors
from callsheet.channel import open_channel
from callsheet.errors import (
    CallsheetError,
    InvalidError,
    LeaseLostError,
    NotFoundError,
    OverloadedError,
    UnavailableError,
)
from callsheet.v1.job_service_pb2 import GetStatsRequest
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from callsheet.wire_errors import CLASS_KEY, RETRY_AFTER_KEY, from_rpc_error, status_of
from tests.support.scripted_services import Script, serving


def tree(root: type[CallsheetError] = CallsheetError) -> Iterator[type[CallsheetError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child)


KINDS = list(tree())


async def over_the_wire(error: Exception) -> CallsheetError:
    script = Script()
    script.will("GetStats", error)
    async with serving(script) as address, open_channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await JobServiceStub(channel).GetStats(GetStatsRequest(), timeout=30)
    return from_rpc_error(caught.value)


@pytest.mark.parametrize("kind", KINDS, ids=[kind.__name__ for kind in KINDS])
async def test_every_error_of_the_tree_arrives_as_what_it_was(kind: type[CallsheetError]) -> None:
    arrived = await over_the_wire(kind("a sentence … with an 'ü'"))

    assert type(arrived) is kind
    assert arrived.message == "a sentence … with an 'ü'"


async def test_the_field_arrives() -> None:
    arrived = await over_the_wire(InvalidError("must be from 1 to 10", field="jobs[3].priority"))

    assert isinstance(arrived, InvalidError)
    assert arrived.field == "jobs[3].priority"


async def test_the_delay_arrives() -> None:
    arrived = await over_the_wire(OverloadedError("full", retry_after_s=2.5))

    assert isinstance(arrived, OverloadedError)
    assert arrived.retry_after_s == 2.5


async def test_an_unknown_error_arrives_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    arrived = await over_the_wire(KeyError("hunter2"))

    assert type(arrived) is CallsheetError
    assert "hunter2" not in arrived.message
    assert "hunter2" in caplog.text


async def test_a_sentence_too_long_for_headers_arrives_cut() -> None:
    arrived = await over_the_wire(NotFoundError("ü" * 100_000))

    assert type(arrived) is NotFoundError
    assert 500 < len(arrived.message) < 2_000


async def test_words_that_cannot_be_encoded_arrive_all_the_same() -> None:
    arrived = await over_the_wire(InvalidError("no file \udcff\n\x00", field="pa\nth\udcff" * 1_000))

    assert isinstance(arrived, InvalidError)
    assert arrived.message.startswith("no file ?")
    assert arrived.field.startswith("pa?th?")


def answered(code: grpc.StatusCode, *trailer: tuple[str, str]) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailer), "a sentence")


def test_a_class_counts_only_where_it_agrees_with_the_status() -> None:
    agreeing = answered(grpc.StatusCode.FAILED_PRECONDITION, (CLASS_KEY, "LeaseLostError"))
    lying = answered(grpc.StatusCode.UNAVAILABLE, (CLASS_KEY, "LeaseLostError"))

    assert type(from_rpc_error(agreeing)) is LeaseLostError
    assert type(from_rpc_error(lying)) is UnavailableError


@given(st.text(alphabet=st.characters(codec="ascii", exclude_categories=["Cc"])))
def test_no_delay_that_a_stranger_names_is_absurd(text: str) -> None:
    arrived = from_rpc_error(answered(grpc.StatusCode.RESOURCE_EXHAUSTED, (RETRY_AFTER_KEY, text)))

    assert isinstance(arrived, OverloadedError)
    assert 0 <= arrived.retry_after_s <= 3600


@given(st.sampled_from(KINDS), st.text())
def test_whatever_is_said_fits_the_headers(kind: type[CallsheetError], message: str) -> None:
    code, sentence, trailer = status_of(kind(message * 50))

    assert code is grpc.StatusCode[kind.status]
    assert len(sentence.encode()) <= 2_010
    assert all(value.isascii() and len(value) <= 200 for _, value in trailer)
