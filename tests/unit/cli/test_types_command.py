"""``callsheet types``, against services whose answers are written down."""

from callsheet.v1.job_pb2 import ResourceCategory
from callsheet.v1.job_service_pb2 import (
    ChangeJobTypeRequest,
    ChangeJobTypeResponse,
    FigureSource,
    JobType,
    LearnedNeeds,
    ListJobTypesRequest,
    ListJobTypesResponse,
    TypeChange,
    VramCharge,
)
from tests.support.command_line import CommandLine
from tests.support.scripted_services import Script

LEARNED = VramCharge(vram_mib=2944, source=FigureSource.FIGURE_SOURCE_LEARNED)
PAINT = JobType(
    name="paint",
    category=ResourceCategory.RESOURCE_CATEGORY_GPU_AI,
    vram_mib=4000,
    run_limit_s=3600,
    learns_vram=True,
    change=TypeChange(run_limit_s=60),
    charge=LEARNED,
    learned=[
        LearnedNeeds(runs=40, median_run_s=8, p95_run_s=20, p99_run_s=31, vram_mib=2944, charge=LEARNED),
        LearnedNeeds(size_class=7, runs=9, charge=VramCharge(vram_mib=4000)),
    ],
)


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


async def test_list_says_whose_figure_holds_and_leaves_internal_types_out(
    script: Script, callsheet: CommandLine
) -> None:
    script.will("ListJobTypes", ListJobTypesResponse(types=[PAINT]))

    ended = await callsheet.run("types", "list")
    await callsheet.run("types", "list", "--internal", "--json")

    assert ["paint", "gpu_ai", "2944", "learned", "2944", "40", "8.0", "s", "20", "s"] in rows(ended.out)
    assert script.asked["ListJobTypes"] == [ListJobTypesRequest(), ListJobTypesRequest(internal=True)]


async def test_type_is_shown_with_what_is_declared_changed_learned_and_in_force(
    script: Script, callsheet: CommandLine
) -> None:
    script.will("ListJobTypes", ListJobTypesResponse(types=[PAINT]))

    ended = await callsheet.run("types", "show", "paint")
    missing = await callsheet.run("types", "show", "pain")

    shown = rows(ended.out)
    assert ["VRAM", "in", "MB", "4000", "2944", "learned"] in shown
    assert ["run", "limit", "in", "s", "3600", "60", "60", "changed"] in shown
    assert ["learned", "VRAM", "on", "on", "declared"] in shown
    assert any(row[:2] == ["7", "9"] and row[-1] == "4000" for row in shown)
    assert (missing.code, missing.err) == (
        1,
        "Error: there is no job type 'pain'; `callsheet types list` shows those there are\n",
    )


async def test_figures_are_set_and_taken_back_in_one_call(script: Script, callsheet: CommandLine) -> None:
    script.will("ChangeJobType", ChangeJobTypeResponse(type=PAINT))

    ended = await callsheet.run(
        "types", "set", "paint", "--vram", "5000", "--run-limit", "declared", "--learned", "off"
    )
    refused = [
        await callsheet.run("types", "set", "paint", *options)
        for options in ((), ("--vram", "much"), ("--learned", "yes"))
    ]

    assert ended.code == 0, ended.err
    assert script.asked["ChangeJobType"] == [
        ChangeJobTypeRequest(
            type="paint",
            vram_mib=5000,
            learns_vram=False,
            clear_run_limit_s=True,
            requested_by="callsheet types set",
        )
    ]
    assert [one.err for one in refused] == [
        "Error: --vram, --run-limit or --learned: say what to change\n",
        "Error: --vram: 'much' is no whole number; `declared` goes back\n",
        "Error: --learned: must be on, off or declared, not 'yes'\n",
    ]
