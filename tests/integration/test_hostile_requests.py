"""The gateway bears every request: what its own description suggests, and what nobody of good will sends."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from callsheet_scheduler.local.postgres import EmbeddedPostgres
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import schemathesis_hooks
from tests.support.fresh_database import new_database
from tests.support.gateways import TOKEN, real_gateway
from tests.support.library_sites import library_site, picture
from tests.support.raw_http import exchanged, requests, statuses

EXAMPLES = int(os.environ.get("API_EXAMPLES", "0"))
"""For each endpoint in the long run; 0 for the short one."""
PHASES = "examples,coverage,fuzzing,stateful"
CHECKS = (
    "no_fault,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "negative_data_rejection"
)
ENDLESS = "/events$|/log$"
"""Answers that may never end."""
ANSWERED_5XX = {507}
"""An upload that the disk has no room for is answered so."""
HEAD = f"Host: x\r\nAuthorization: Bearer {TOKEN}\r\n".encode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port(
    database_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[int]:
    """The port of a gateway process with everything behind it; at the end its log tells of no fault."""
    folder = tmp_path_factory.mktemp("site")
    uploads = folder / "uploads"
    uploads.mkdir()
    dsn = await new_database(database_server)
    async with library_site(dsn, folder) as stack:
        picture(stack.library / "photo.jpg")
        roots = {name: root.model_dump(mode="json") for name, root in stack.settings.roots.items()}
        given_settings = {
            "scheduler": stack.scheduler.address,
            "roots": json.dumps(roots | {"uploads": {"path": str(uploads), "writable": True}}),
            "log_level": "error",
            "request_deadline_s": "5",
            "miss_wait_s": "2",
            "head_deadline_s": "2",
            "changes_per_s": "0",
            "sign_in_failures_per_min": "0",
        }
        async with real_gateway(folder, **given_settings) as (process, port):
            yield port
            assert (await answer_of(port)).status_code == 200
            process.terminate()
            _, written = await process.communicate()
    assert b"Traceback" not in written, written[-4000:].decode()


async def answer_of(port: int) -> httpx.Response:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        return await client.get("/api/media/jobs", headers={"Authorization": f"Bearer {TOKEN}"})


@pytest.mark.timeout(600)
@settings(
    max_examples=EXAMPLES * 20 or 150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(request=requests(), kept=st.none() | st.integers(0, 1500))
def test_any_bytes_are_answered_without_a_fault(port: int, request: bytes, kept: int | None) -> None:
    answer = exchanged(port, request if kept is None else request[:kept], cut=kept is not None)
    later = {503} if b"retry-after:" in answer.lower() else set[int]()
    faults = [status for status in statuses(answer) if status >= 500 and status not in ANSWERED_5XX | later]
    assert not faults, answer
    assert kept is not None or statuses(answer), "a whole request has no answer"
    assert b"Traceback" not in answer
    assert b"site-packages" not in answer


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 5\r\nHost: y\r\n",
    ],
    ids=repr,
)
def test_request_of_two_lengths_is_refused_and_what_follows_is_not_read(port: int, framing: bytes) -> None:
    smuggled = b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = exchanged(port, b"POST /api/media/jobs HTTP/1.1\r\n" + HEAD + framing + b"\r\n" + smuggled)
    assert statuses(answer) == [400], answer


@pytest.mark.timeout(600)
@pytest.mark.asyncio(loop_scope="module")
async def test_description_and_endpoints_agree_on_everything_tried(port: int, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        *("run", f"http://127.0.0.1:{port}/openapi.json", "--header", f"Authorization: Bearer {TOKEN}"),
        *("--phases", PHASES if EXAMPLES else PHASES.replace("coverage,", "")),
        *("--max-examples", str(EXAMPLES or 3), "--request-timeout", "60", "--checks", CHECKS),
        *("--exclude-path-regex", ENDLESS, "--exclude-path", "/api/async/worker-health"),
        *("--warnings", "off", "--no-color", *([] if EXAMPLES else ["--generation-deterministic"])),
        cwd=tmp_path,
        env=os.environ | {"SCHEMATHESIS_HOOKS": schemathesis_hooks.__name__, "PYTHONPATH": str(Path.cwd())},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()[-20_000:]
