"""``callsheet simulate --from-server``: one's own fleet and history, against services that are scripted."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from callsheet_scheduler.simulate.mix import Choice, parse_mix

from callsheet.v1.fleet_service_pb2 import (
    DeviceAccount,
    HostLimit,
    ListDevicesResponse,
    ListWorkersResponse,
    Worker,
)
from callsheet.v1.job_pb2 import ResourceCategory
from callsheet.v1.job_service_pb2 import (
    JobType,
    LearnedNeeds,
    ListJobTypesRequest,
    ListJobTypesResponse,
    VramCharge,
)
from tests.support.command_line import CommandLine
from tests.support.scripted_services import Script, serving

CPU, GPU_AI = ResourceCategory.RESOURCE_CATEGORY_CPU, ResourceCategory.RESOURCE_CATEGORY_GPU_AI
TYPES = [
    JobType(name="scan", category=CPU, learned=[LearnedNeeds(runs=30, run_s=[2.0, 3.0])]),
    JobType(
        name="paint",
        category=GPU_AI,
        vram_mib=4000,
        learned=[
            LearnedNeeds(runs=12, run_s=[5.0, 50.0], charge=VramCharge(vram_mib=4000)),
            LearnedNeeds(size_class=3, runs=4, run_s=[5.0], charge=VramCharge(vram_mib=2048)),
            LearnedNeeds(size_class=7, runs=8, run_s=[50.0], charge=VramCharge(vram_mib=6144)),
        ],
    ),
    JobType(name="never_ran", category=CPU),
]
WORKERS = [
    Worker(id="a", host="atlas 1", connected=True, slots=4, types=["scan", "never_ran"]),
    Worker(id="b", host="atlas 1", connected=True, slots=2, types=["paint"]),
    Worker(id="c", host="gone", slots=9, types=["scan"]),
]
FILE = """
[arrivals]
process = "at_once"
jobs = 20
[hosts.atlas]
gpus = [{ memory_mb = 16384 }]
[jobs.paint]
category = "gpu_ai"
vram_mb = 1
run_s = 1
[jobs.other]
category = "cpu"
run_s = 7
"""


@pytest.fixture
async def callsheet(tmp_path: Path) -> AsyncIterator[CommandLine]:
    script = Script()
    script.will("ListJobTypes", ListJobTypesResponse(types=TYPES))
    limits = [HostLimit(category=CPU, limit=3), HostLimit(category=GPU_AI, limit=1)]
    script.will("ListWorkers", ListWorkersResponse(workers=WORKERS, limits=limits))
    script.will(
        "ListDevices", ListDevicesResponse(devices=[DeviceAccount(host="atlas 1", capacity_mib=16384)])
    )
    async with serving(script) as address:
        yield CommandLine(tmp_path, scheduler=address)
    assert set(map(str, script.asked["ListJobTypes"])) == {str(ListJobTypesRequest(internal=True, runs=True))}


async def test_own_fleet_and_history_become_a_file_that_can_be_simulated(
    callsheet: CommandLine, tmp_path: Path
) -> None:
    printed = await callsheet.run("simulate", "--from-server", "--example")
    assert printed.code == 0, printed.err
    mix = parse_mix(printed.out)
    host = mix.hosts["atlas-1"]
    assert (list(mix.hosts), host.cpu_slots, host.gpu_slots, host.gpus[0].memory_mb) == (
        ["atlas-1"],
        4,
        2,
        16384,
    )
    assert (mix.limits.cpu, mix.limits.gpu_ai) == (3, 1)
    assert {(name, one.type, one.size_class, one.vram_mb, one.share) for name, one in mix.jobs.items()} == {
        ("scan", None, None, None, 30),
        ("paint.3", "paint", 3, 2048, 4),
        ("paint.7", "paint", 7, 6144, 8),
    }
    run_s = mix.jobs["scan"].run_s
    assert isinstance(run_s, Choice)
    assert run_s.choice == (2.0, 3.0)

    (tmp_path / "own.toml").write_text(printed.out)
    ended = await callsheet.run("simulate", "own.toml", "--jobs", "30", "--policy", "easy", "--json")
    at_once = await callsheet.run("simulate", "--from-server", "--jobs", "30", "--policy", "easy", "--json")
    assert ended.code == 0, ended.err
    assert ended.document() == at_once.document()


async def test_kinds_of_a_file_get_what_is_learned_of_their_types(
    callsheet: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "mix.toml").write_text(FILE)
    printed = await callsheet.run("simulate", "mix.toml", "--from-server", "--example")
    assert printed.code == 0, printed.err
    mix = parse_mix(printed.out)
    run_s = mix.jobs["paint"].run_s
    assert isinstance(run_s, Choice)
    assert (run_s.choice, mix.jobs["paint"].vram_mb) == ((5.0, 50.0), 4000)
    assert (mix.jobs["other"].run_s, mix.arrivals.process) == (7, "at_once")
