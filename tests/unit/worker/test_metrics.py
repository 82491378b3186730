"""What a worker's /metrics say."""

from callsheet.v1.lease_service_pb2 import Hello
from callsheet.worker.metrics import SessionCollector
from callsheet.worker.stream.session import Session


def test_protections_in_force_and_those_that_are_missing_are_told_apart() -> None:
    hello = Hello(
        worker_id="w1",
        slots=2,
        sandbox=["rlimits", "landlock 7", "unprivileged user"],
        sandbox_lacks=["seccomp"],
    )
    families = {one.name: one for one in SessionCollector(Session(hello, now=0.0), hello).collect()}

    told = {one.labels["layer"]: one.value for one in families["callsheet_worker_sandbox"].samples}

    assert told == {"rlimits": 1, "landlock": 1, "unprivileged user": 1, "seccomp": 0}
    assert families["callsheet_worker_slots"].samples[0].value == 2
