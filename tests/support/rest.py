"""REST as tests ask it: what a front end reads, and waiting until it says something."""

import asyncio
from collections.abc import Callable

import httpx
from pydantic import TypeAdapter

Json = dict[str, object]
OBJECT: TypeAdapter[Json] = TypeAdapter(Json)
OBJECTS: TypeAdapter[list[Json]] = TypeAdapter(list[Json])

JOBS = "/api/media/jobs"


class Rest:
    """The documented answers, checked for their status."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def ask(self, method: str, path: str, body: object = None, *, status: int = 200) -> Json:
        """Return the answer to a request that has this status."""
        answer = await self.client.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        return OBJECT.validate_python(answer.json())

    async def refused(self, method: str, path: str, body: object = None) -> tuple[int, str, str]:
        """Return status, first wrong field and sentence of a problem."""
        answer = await self.client.request(method, path, json=body)
        assert answer.headers["content-type"] == "application/problem+json"
        problem = OBJECT.validate_python(answer.json())
        errors = OBJECTS.validate_python(problem.get("errors") or [{"field": ""}])
        return answer.status_code, str(errors[0]["field"]), str(problem["detail"])

    async def create(self, job_type: str, **changes: object) -> str:
        """Create a job and return its id."""
        return str((await self.ask("POST", JOBS, {"type": job_type} | changes, status=201))["id"])

    async def job(self, job_id: str) -> Json:
        """Return a job in detail."""
        return await self.ask("GET", f"{JOBS}/{job_id}")

    async def once(self, job_id: str, status: str) -> Json:
        """Return the job when it has this status; the test's time limit ends a vain wait."""
        while (job := await self.job(job_id))["status"] != status:  # noqa: ASYNC110 -- nothing sets an event
            await asyncio.sleep(0.02)
        return job

    async def until(self, path: str, holds: Callable[[Json], bool]) -> Json:
        """Return what lies at *path* when it is as wanted; a scheduler that is away is waited for."""
        while True:
            answer = await self.client.get(path)
            if answer.is_success:
                found = OBJECT.validate_python(answer.json())
                if holds(found):
                    return found
            await asyncio.sleep(0.02)

    async def count(self, **asked: str | list[str]) -> int:
        """Return how many jobs pass."""
        answer = await self.client.get(JOBS, params={"limit": 1, **asked})
        assert answer.is_success, answer.text
        return int(str(answer.json()["pagination"]["total"]))

    async def queue(self, scope: str) -> Json:
        """Return a scope of the queue."""
        found = OBJECTS.validate_python((await self.ask("GET", "/api/queues"))["data"])
        return next(queue for queue in found if queue["scope"] == scope)

    async def workers(self) -> list[Json]:
        """Return the fleet."""
        return OBJECTS.validate_python((await self.ask("GET", "/api/workers"))["data"])

    async def known(self, job_type: str) -> None:
        """Wait until a worker has said that it has this type, and is connected."""
        while not any(job_type in str(worker["types"]) for worker in await self.workers()):  # noqa: ASYNC110 -- as above
            await asyncio.sleep(0.02)
