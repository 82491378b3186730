"""A real S3 server over HTTP on loopback, and what a person does to its buckets behind Callsheet's back."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest

from callsheet.service.settings import BucketSettings
from callsheet.worker.storage.credentials import Credentials
from callsheet.worker.storage.s3_calls import RefusedError, S3Calls, SilentError, Upload
from callsheet.worker.threads import pause
from tests.support.certificates import served_on_loopback

WEED = Path(sys.executable).with_name("weed")
KEY_ID, SECRET = "AKIAEVERYTHING", "canary-secret-of-everything"
READER_ID, READER_SECRET = "AKIAREADER", "canary-secret-of-reader"
_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port.grpc",
    "s3.port.https",
)


class Objects(NamedTuple):
    """A running server."""

    endpoint: str
    folder: Path
    secure_endpoint: str
    """The same over TLS."""
    authority: Path
    """The CA behind that, which no machine knows."""

    def settings(self, bucket: str, prefix: str = "", **changes: object) -> BucketSettings:
        """Return the settings of a root over a bucket, with credentials that may do everything."""
        url = f"s3://{bucket}/{prefix}" if prefix else f"s3://{bucket}"
        given = {"endpoint": self.endpoint, "credentials_file": self.credentials(), "writable": True}
        return BucketSettings.model_validate({"url": url} | given | changes)

    def credentials(self, key_id: str = KEY_ID, secret: str = SECRET) -> Path:
        """Return a credentials file with this key."""
        file = self.folder / f"credentials-{len(key_id)}-{len(secret)}.ini"
        file.write_text(f"[default]\naws_access_key_id = {key_id}\naws_secret_access_key = {secret}\n")
        return file

    def bucket(self, bucket: str) -> "Bucket":
        """Make a bucket."""
        made = self.known(bucket)
        made.calls.send("PUT")
        return made

    def known(self, bucket: str) -> "Bucket":
        """Return a bucket that was made."""
        return bucket_as_owner(self.settings(bucket))


class Bucket(NamedTuple):
    """A bucket, seen by someone who may do everything."""

    name: str
    calls: S3Calls

    def put(self, key: str, content: bytes) -> None:
        self.calls.send("PUT", key, content=content)

    def remove(self, key: str) -> None:
        self.calls.send("DELETE", key)

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys, hidden ones too."""
        return sorted(one.key for one in self.calls.keys(prefix))

    def uploads(self) -> list[Upload]:
        """Return the uploads that were not finished."""
        return list(self.calls.uploads(""))

    def begin_upload(self, key: str) -> None:
        """Begin an upload in parts, as a worker that is killed then leaves it."""
        self.calls.send("POST", key, {"uploads": ""})

    def drop(self) -> None:
        """Remove the bucket with all that is in it."""
        for upload in self.uploads():
            self.calls.abort(upload)
        for key in self.keys():
            self.remove(key)
        self.calls.send("DELETE")


def bucket_as_owner(settings: BucketSettings) -> Bucket:
    """Return the bucket of a root as someone sees it who may do everything."""
    return Bucket(settings.bucket, S3Calls(settings, Credentials(key_id=KEY_ID, secret=SECRET)))


@pytest.fixture(scope="session")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Generator[Objects]:
    """Run one server for all tests of a process; each makes buckets of its own."""
    with objects_server(tmp_path_factory.mktemp("objects")) as running:
        yield running


@pytest.fixture
def bucket(objects: Objects) -> Bucket:
    """Make a bucket."""
    return objects.bucket(f"b{uuid4().hex}")


@contextmanager
def objects_server(folder: Path) -> Generator[Objects]:
    """Run a server with its data in *folder*."""
    everything = {"accessKey": KEY_ID, "secretKey": SECRET}
    reader = {"accessKey": READER_ID, "secretKey": READER_SECRET}
    identities = [
        {"name": "all", "credentials": [everything], "actions": ["Admin", "Read", "Write", "List"]},
        {"name": "reader", "credentials": [reader], "actions": ["Read", "List"]},
    ]
    (folder / "data").mkdir(parents=True)
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    served = served_on_loopback(folder)
    port, *others = _free_ports(1 + len(_PORTS))
    arguments = [f"-{name}={number}" for name, number in zip(_PORTS, others, strict=True)]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [
                *(str(WEED), "server", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
                *("-filer", "-s3", f"-s3.port={port}", "-s3.port.iceberg=0", "-s3.port.lance=0"),
                *(f"-s3.config={folder / 's3.json'}", "-s3.autoCreateBucket=false", *arguments),
                *(f"-s3.cert.file={served.certificate}", f"-s3.key.file={served.key}"),
                *("-volume.max=0", "-master.volumeSizeLimitMB=64", "-master.telemetry=false"),
            ],
            stdout=log,
            stderr=log,
        )
    try:
        secure = f"https://127.0.0.1:{others[-1]}"
        objects = Objects(f"http://127.0.0.1:{port}", folder, secure, served.authority)
        _await_answer(objects, server)
        yield objects
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()


def _await_answer(objects: Objects, server: "subprocess.Popen[bytes]") -> None:
    """Wait until a bucket can be made and written to; the test's time limit ends a vain wait."""
    while True:
        try:
            objects.bucket("ready").put("ready", b"ready")
        except (RefusedError, SilentError):
            assert server.poll() is None, (objects.folder / "server.log").read_text()[-2000:]
            pause(0.1)
        else:
            return


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
