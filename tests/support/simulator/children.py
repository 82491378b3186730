"""Jobs that attempts cause."""

import asyncio
import json

from callsheet.v1.job_pb2 import NewJob
from callsheet.v1.lease_service_pb2 import Yielded
from tests.support.simulator.chance import Chance
from tests.support.simulator.hellos import uuid7
from tests.support.simulator.scheduler import START
from tests.support.simulator.traces import Traces


class Children:
    """Makes them."""

    def __init__(self, chance: Chance, traces: Traces) -> None:
        self._chance = chance
        self._traces = traces

    def one(self, number: int) -> NewJob:
        """Return a job to follow, which another attempt may have reported before."""
        random, earlier = self._chance.random, self._traces.children
        if earlier and random.random() < 0.3:
            child = NewJob()
            child.CopyFrom(random.choice(earlier))
            if random.random() < 0.1:
                child.priority = 1
            return child
        at_ms = int((START + asyncio.get_running_loop().time()) * 1000)
        made, seconds = uuid7(at_ms, random.getrandbits(74)), random.choice((0.05, 0.05, 3.0))
        params = json.dumps({"s": seconds, "child": number})
        child = NewJob(id=made, type="cut", params_json=params)
        earlier.append(child)
        return child

    def yielded(self, kept: dict[str, int]) -> Yielded:
        """Return the report of a job that yields to some of them."""
        children = [self.one(number) for number in range(self._chance.random.randint(1, 3))]
        return Yielded(children=children, checkpoint_json=json.dumps(kept))
