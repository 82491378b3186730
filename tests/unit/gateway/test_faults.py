"""A fault of ours is answered without a word of where it is, and logged with all of them."""

import pytest
from callsheet_gateway.border import SECURITY_HEADERS
from callsheet_gateway.problems import BLAMELESS
from callsheet_gateway.settings import GatewaySettings

from callsheet.client import Client
from tests.support.gateways import rest_through


async def test_fault_that_nobody_foresaw_is_a_problem_without_a_trace() -> None:
    async with Client("127.0.0.1:1") as client, rest_through(client, GatewaySettings()) as rest:
        await client.close()
        answer = await rest.get("/api/media/jobs")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == BLAMELESS
    for word in ("Traceback", "grpc", "File", ".py"):
        assert word not in answer.text
    assert set(map(str.lower, SECURITY_HEADERS)) <= set(answer.headers)


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/openapi.json", "/docs"])
async def test_what_needs_no_scheduler_is_served_all_the_same(path: str) -> None:
    async with Client("127.0.0.1:1") as client, rest_through(client, GatewaySettings()) as rest:
        await client.close()
        assert (await rest.get(path)).status_code == 200
