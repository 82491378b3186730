"""Tries the profiles of docker-compose.yml, a renewal while all runs, and traces.

``python -m tests.deploy.profiles_trial FOLDER``, as `trial.sh` calls it after `compose_trial.sh`, which puts
podman-compose into FOLDER/tools. ``profiles.yml`` says what differs from the compose file. Beside it runs, on
this machine, the tests' stand-in for an Immich server.
"""

import asyncio
import io
import json
import sys
from configparser import ConfigParser
from pathlib import Path
from typing import Final

import httpx
from callsheet_immich_agent.policy import UNMANAGED
from PIL import Image
from pydantic import BaseModel

from callsheet.service.settings import BucketSettings
from callsheet.worker.storage.credentials import Credentials
from callsheet.worker.storage.s3_calls import S3Calls
from tests.deploy.composed import OBJECTS_PORT, OURS, Composed, Item, NotYetError, composed, container, say
from tests.support.immich_queues import NAMES, SimulatedImmich
from tests.support.immich_server import KEY, StandIn, standing_in
from tests.support.media import video
from tests.support.watching import alerts

TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
BACKLOG: Final = {"sidecar": 4, "smartSearch": 4, "videoConversion": 4}
PICTURES: Final = 3
PROMETHEUS: Final = "http://prometheus:9090/api/v1"
WORKERS: Final = ("cpu-worker", "gpu-worker", "immich-agent")
SHORT_S: Final = 120
"""For how long the certificates hold that are to be renewed."""
LONG_S: Final = 80 * 86_400
SHORT: Final = f"""
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from callsheet.authority import issue_into, read_authority
from callsheet.tls import read_credentials
ca = read_authority(Path("/authority"))
for tls in Path("/secrets").glob("*/tls"):
    identity, now = read_credentials(tls).identity, datetime.now(timezone.utc)
    issue_into(tls, ca, identity, now=now, life=timedelta(seconds={SHORT_S}))
    for file in tls.iterdir():
        os.chown(file, 10001, 10001)
"""
"""Run where `setup` is: issues certificates that end soon in place of all that are there."""
SHOWN: Final = """
import socket, ssl, time
tls = "/etc/callsheet/tls/"
context = ssl.create_default_context(cafile=tls + "ca.crt")
context.load_cert_chain(tls + "tls.crt", tls + "tls.key")
with socket.create_connection(("scheduler", 7420), timeout=10) as plain:
    with context.wrap_socket(plain, server_hostname="scheduler.callsheet") as shown:
        print(ssl.cert_time_to_seconds(shown.getpeercert()["notAfter"]) - time.time())
"""
"""Run in a service: says for how many seconds the certificate holds that the scheduler shows now."""

UNREACHED: Final = """
import socket
try:
    socket.create_connection(("objectstore", 8888), timeout=10)
except OSError as error:
    print(error)
else:
    raise SystemExit("reached")
"""
"""Run in a service: fails where the S3 server can be reached from there."""


class _Target(BaseModel):
    health: str
    labels: dict[str, str]
    lastError: str  # noqa: N815 -- Prometheus' name


class _Targets(BaseModel):
    activeTargets: list[_Target]  # noqa: N815 -- Prometheus' name


class _TargetsAnswer(BaseModel):
    data: _Targets


class _Rule(BaseModel):
    name: str
    health: str


class _Group(BaseModel):
    rules: list[_Rule]


class _Groups(BaseModel):
    groups: list[_Group]


class _RulesAnswer(BaseModel):
    data: _Groups


class _Span(BaseModel):
    service: str
    name: str
    trace: str


# ---- s3 ----


async def bucket(site: Composed) -> S3Calls:
    """Make the buckets as the guide says, and return the one with originals as a client outside has it."""
    for name in ("media", "made"):
        await site.within("objectstore", "weed", "shell", given=f"s3.bucket.create -name {name}\n")
    file = ConfigParser(interpolation=None)
    file.read_string(await site.within("cpu-worker", "cat", "/etc/callsheet/objectstore.ini"))
    found = file["default"]
    return S3Calls(
        BucketSettings.model_validate({"url": "s3://media", "endpoint": f"http://127.0.0.1:{OBJECTS_PORT}"}),
        Credentials(key_id=found["aws_access_key_id"], secret=found["aws_secret_access_key"]),
    )


async def scan_a_bucket(site: Composed) -> None:
    """Have pictures read out of one bucket, and their thumbnails written into another and served."""
    calls = await bucket(site)
    for number in range(PICTURES):
        content = io.BytesIO()
        Image.new("RGB", (640, 480), (number * 60, 90, 160)).save(content, "JPEG")
        await asyncio.to_thread(calls.send, "PUT", f"2026/{number}.jpg", content=content.getvalue())
    await site.completed("the bucket is scanned", await site.submit("scan", {"root": "bucket"}))
    items = await site.until("its pictures have thumbnails", lambda: with_thumbnails(site))
    await see_thumbnails(site, items)
    for service in ("scheduler", "immich-agent"):
        say(f"{service} asks for the S3 server: {await site.within(service, 'python3', '-c', UNREACHED)}")


async def with_thumbnails(site: Composed) -> list[Item]:
    """Return the items of the bucket once each has a thumbnail."""
    items = await site.items("bucket")
    if len(items) != PICTURES or any(not item.derivatives for item in items):
        raise NotYetError(items)
    return items


async def see_thumbnails(site: Composed, items: list[Item]) -> None:
    """See that the gateway serves a thumbnail of each item."""
    for item in items:
        answer = await site.rest.get(f"/api/media/items/{item.id}/thumbnail")
        assert answer.is_success, answer.text
        assert answer.headers["content-type"].startswith("image/"), answer.headers
        Image.open(io.BytesIO(answer.content)).verify()


# ---- gpu, traces ----


async def encode_in_software(site: Composed) -> None:
    """Have the GPU worker encode a video without a card, under a trace of the caller's."""
    await site.completed("the library is scanned", await site.submit("scan", {"root": "library"}))
    parent = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    wish = {"inputPath": "short.mp4", "preset": "ultrafast"}
    job = await site.submit("reencode_streaming", wish, parent)
    await site.completed("a video is encoded in software", job)
    spans = await site.until("its trace is whole", lambda: traced(site))
    say("spans: " + ", ".join(sorted(f"{span.service} {span.name}" for span in spans)))


async def traced(site: Composed) -> list[_Span]:
    """Return the spans of the trace once everybody's have come."""
    lines = (await site.logs("otel-collector")).splitlines()
    spans = [span for span in map(_Span.model_validate_json, lines) if span.trace == TRACE]
    if not {"callsheet-gateway", "callsheet-scheduler", "callsheet-gpu-worker"} <= {
        one.service for one in spans
    }:
        raise NotYetError(spans)
    if not {"REST POST", "wait for a lease", "attempt reencode_streaming", "ffmpeg"} <= {
        one.name for one in spans
    }:
        raise NotYetError(spans)
    return spans


# ---- immich ----


async def steer_immich(site: Composed, immich: StandIn) -> None:
    """Have the agent steer a server by leases, as REST decides."""

    async def see(command: str) -> None:
        if command not in immich.commands:
            raise NotYetError(immich.commands)

    await site.until("the agent opens one queue", lambda: see("resume sidecar"))
    assert "resume smartSearch" not in immich.commands, immich.commands
    (await site.rest.patch("/api/immich", json={"limit": 2})).raise_for_status()
    await site.until("a limit of two is heeded", lambda: see("resume smartSearch"))
    assert immich.immich.open() == {"sidecar", "smartSearch"} | UNMANAGED
    assert immich.keys == {KEY}
    await site.podman("stop", container("immich-agent"))
    assert immich.immich.open() == set(NAMES)
    say("told to stop it opened every queue")
    await site.compose("up", "--detach", "--no-build", "immich-agent")
    await site.until("the agent is back", lambda: back(site))


# ---- observability ----


async def measure(site: Composed) -> None:
    """See that Prometheus reaches everybody, has the rules and counts jobs."""
    await site.until("every target is up", lambda: targets(site))
    answer = _RulesAnswer.model_validate_json(await site.asked(f"{PROMETHEUS}/rules"))
    rules = {rule.name: rule.health for group in answer.data.groups for rule in group.rules}
    assert rules.keys() == alerts().keys()
    assert set(rules.values()) <= {"ok", "unknown"}, rules
    question = "query?query=sum(media_jobs_total%7Bstatus%3D%22completed%22%7D)"
    counted = json.loads(await site.asked(f"{PROMETHEUS}/{question}"))["data"]["result"]
    say(f"{len(rules)} rules; jobs completed: {counted[0]['value'][1]}")
    assert float(counted[0]["value"][1]) >= 1


async def targets(site: Composed) -> None:
    """See one target for each of our services, and each up."""
    answer = _TargetsAnswer.model_validate_json(await site.asked(f"{PROMETHEUS}/targets"))
    found = [(one.labels["job"], one.health, one.lastError) for one in answer.data.activeTargets]
    if len(found) != len(OURS) or any(health != "up" for _, health, _ in found):
        raise NotYetError(found)


# ---- certificates ----


async def renew(site: Composed) -> None:
    """Have `renewal` replace certificates that end soon while all runs, and go on once those have ended."""
    before = await site.started()
    await site.podman("stop", container("renewal"))
    await site.podman(
        *("run", "--rm", "--network=none", "--user=0", f"--volumes-from={container('renewal')}"),
        *("callsheet/scheduler", "python3", "-c", SHORT),
    )
    ends_at = asyncio.get_running_loop().time() + SHORT_S
    await come_anew(site)
    left = await shown_s(site)
    assert 0 < left < SHORT_S, left
    say(f"all have come anew, by certificates that end in {left:.0f} s")
    await site.podman("start", container("renewal"))
    await site.until("the scheduler shows a renewed one", lambda: renewed(site))
    await site.completed("a job after the renewal", await site.submit("scan", {"root": "library"}))
    await asyncio.sleep(ends_at - asyncio.get_running_loop().time())
    await come_anew(site)
    await site.completed(
        "a job after the old ones have ended",
        await site.submit("scan", {"root": "library"}),
    )
    assert await site.started() == before


async def come_anew(site: Composed) -> None:
    """Have the scheduler stand still until every worker has given it up, and wait until each is back."""
    seen = {service: await site.logs(service) for service in WORKERS}

    async def say_so(words: str) -> None:
        for service in WORKERS:
            if words not in (await site.logs(service))[len(seen[service]) :]:
                raise NotYetError(service)

    await site.podman("pause", container("scheduler"))
    try:
        await site.until("the scheduler stands still", lambda: say_so("no stream to the scheduler"))
    finally:
        await site.podman("unpause", container("scheduler"))
    await site.until("it goes on, and all are back", lambda: say_so('"message": "connected"'))


async def shown_s(site: Composed) -> float:
    """Return for how many seconds the scheduler's certificate holds."""
    return float(await site.within("gateway", "python3", "-c", SHOWN))


async def renewed(site: Composed) -> None:
    """See that the scheduler shows a certificate that holds for long."""
    left = await shown_s(site)
    if left < LONG_S:
        raise NotYetError(left)


async def back(site: Composed) -> None:
    """See a worker of each kind connected."""
    found = await site.workers()
    if not all(any(f"-{kind}-" in one for one in found) for kind in ("cpu", "gpu", "immich")):
        raise NotYetError(found)


# ---- all ----


async def try_all(site: Composed, immich: StandIn) -> None:
    """Try every profile."""
    await site.until("a worker of each kind is there", lambda: back(site))
    say(await site.within("gateway", "callsheet", "fleet", "list", "--scheduler=scheduler:7420"))
    await encode_in_software(site)
    await scan_a_bucket(site)
    await steer_immich(site, immich)
    await measure(site)
    await renew(site)
    say(await site.podman("stats", "--no-stream", "--format={{.Name}} {{.MemUsage}}"))
    running = (await site.podman("ps", "--quiet", "--filter", f"name={container('')[:-2]}")).split()
    await site.podman("kill", *running)
    await site.compose("down")
    await site.up()
    await site.until("killed and up again, every target is up", lambda: targets(site))
    await see_thumbnails(site, await with_thumbnails(site))
    say("the buckets' pictures are served as before")


async def main(folder: Path) -> None:
    """Try the compose file with all its profiles."""
    media = folder / "profiles"
    media.mkdir(exist_ok=True)
    media.chmod(0o755)
    video(media / "short.mp4", seconds=2, size="320x180")
    (media / "short.mp4").chmod(0o644)
    simulated = SimulatedImmich(BACKLOG, follow_on={})
    for name in set(NAMES) - UNMANAGED:
        simulated.pause(name)
    async with standing_in(simulated, host="0.0.0.0") as immich:  # noqa: S104 -- containers ask for it
        address = httpx.URL(immich.address).copy_with(host="host.containers.internal")
        async with composed(folder / "tools", media, str(address), KEY) as site:
            await try_all(site, immich)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
