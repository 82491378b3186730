"""The gateway while no scheduler is there."""

from callsheet_gateway.settings import GatewaySettings

from callsheet.client import Patience
from tests.support.gateways import rest_over


async def test_without_a_scheduler_rest_lives_and_says_when_to_come_back() -> None:
    patience = Patience(total_s=0.2, try_s=0.2)
    async with rest_over("127.0.0.1:1", GatewaySettings(), patience=patience) as rest:
        for method, path in (("GET", ""), ("GET", "/stats"), ("POST", "")):
            body = {"type": "scan"} if method == "POST" else None
            answer = await rest.request(method, f"/api/media/jobs{path}", json=body)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert (await rest.get("/readyz")).status_code == 503
        assert (await rest.get("/healthz")).status_code == 200
