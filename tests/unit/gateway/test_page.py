"""The page as it is served: its addresses, its files, and what stands there when it is not built."""

import gzip
import re
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
from callsheet_gateway.settings import GatewaySettings

from tests.support.gateways import rest_over

INDEX = (
    '<meta name="csp-nonce" content="__CSP_NONCE__"><script type="module" src="/assets/index-a1.js"></script>'
)
SCRIPT = b"console.log(1);" * 100


@pytest.fixture
def built(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text(INDEX)
    (tmp_path / "secret.js").write_text("not to be served")
    (tmp_path / "assets/index-a1.js").write_bytes(SCRIPT)
    (tmp_path / "assets/index-a1.js.gz").write_bytes(gzip.compress(SCRIPT))
    return tmp_path


@pytest.fixture
async def rest(built: Path) -> AsyncGenerator[httpx.AsyncClient]:
    async with rest_over("127.0.0.1:1", GatewaySettings(page=built)) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/jobs", "/jobs/1", "/library", "/library/1", "/fleet", "/access"])
async def test_every_view_is_the_page_with_a_nonce_of_its_own(rest: httpx.AsyncClient, path: str) -> None:
    first, second = await rest.get(path), await rest.get(path)

    nonce = re.search(r'content="([^"]+)"', first.text)
    assert first.status_code == 200
    assert nonce is not None
    assert f"'nonce-{nonce[1]}'" in first.headers["content-security-policy"]
    assert "unsafe" not in first.headers["content-security-policy"]
    assert first.headers["cache-control"] in {"no-store", "no-cache"}
    assert first.text != second.text


async def test_a_file_is_good_for_ever_and_travels_compressed_to_who_can_read_it(
    rest: httpx.AsyncClient,
) -> None:
    squeezed = await rest.get("/assets/index-a1.js")
    plain = await rest.get("/assets/index-a1.js", headers={"Accept-Encoding": "identity"})

    assert squeezed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert squeezed.content == plain.content == SCRIPT
    assert "immutable" in plain.headers["cache-control"]
    assert plain.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize(
    "name", ["index-b2.js", "..%2Fsecret.js", "index-a1.js.gz", "%2e%2e", "index-a1", "index-a1.js%00.css"]
)
async def test_nothing_but_the_files_of_the_page_is_served(rest: httpx.AsyncClient, name: str) -> None:
    answer = await rest.get(f"/assets/{name}")

    assert answer.status_code == 404
    assert b"not to be served" not in answer.content


async def test_a_gateway_without_the_page_says_how_to_get_it(tmp_path: Path) -> None:
    async with rest_over("127.0.0.1:1", GatewaySettings(page=tmp_path / "absent")) as rest:
        answer = await rest.get("/")
        described = await rest.get("/openapi.json")

    assert answer.status_code == 503
    assert "make page" in answer.text
    assert described.status_code == 200
