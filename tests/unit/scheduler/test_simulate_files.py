"""What a file for ``callsheet simulate`` gets wrong is named, with what would be right."""

from pathlib import Path

import pytest
from callsheet_scheduler.simulate.arrivals import draw
from callsheet_scheduler.simulate.mix import parse_mix, read_mix
from callsheet_scheduler.simulate.study import changed

from callsheet.errors import InvalidError
from tests.support.command_line import CommandLine

GOOD = """
arrivals = { process = "poisson", load = 0.5, jobs = 10 }
[hosts.atlas]
gpus = [{ memory_mb = 16384 }]
[jobs.small]
category = "gpu_encode"
vram_mb = 4000
run_s = { median = 10, sigma = 0.5 }
"""


@pytest.mark.parametrize(
    ("was", "becomes", "field", "says"),
    [
        ("load = 0.5", "load = 0", "arrivals.load", "greater than 0"),
        ("load = 0.5", "lood = 0.5", "arrivals.load", "is missing"),
        ('"poisson"', '"normal"', "arrivals", "'poisson', 'at_once', 'recorded'"),
        ("memory_mb = 16384", "memory_mb = 16", "hosts.atlas.gpus[0].memory_mb", "1024"),
        ("memory_mb = 16384", "memory_gb = 16", "hosts.atlas.gpus[0].memory_mb", "is missing"),
        ("sigma = 0.5", "sigma = -1", "jobs.small.run_s.sigma", "greater than or equal to 0"),
        ("{ median = 10, sigma = 0.5 }", "0", "jobs.small.run_s", "greater than 0"),
        ("{ median = 10, sigma = 0.5 }", "{ choice = [] }", "jobs.small.run_s.choice", "at least 1"),
        ("{ median = 10, sigma = 0.5 }", "{ choice = [1], weights = [1, 2] }", "jobs.small.run_s", "weights"),
        ("vram_mb = 4000", "", "jobs.small", "a GPU job needs vram_mb"),
        ("[jobs.small]", "[jobs.small]\npriority = 11", "jobs.small.priority", "less than or equal to 10"),
        ("[jobs.small]", "[jobs.small]\nurgency = 1", "jobs.small.urgency", "leave it out"),
        ("gpus = [{ memory_mb = 16384 }]", "", "FILE", "add a host with gpus"),
        ("[hosts.atlas]", "[hosts.atlas", "FILE", "this is not TOML"),
    ],
)
def test_field_that_is_wrong_is_named(was: str, becomes: str, field: str, says: str) -> None:
    with pytest.raises(InvalidError) as refused:
        parse_mix(GOOD.replace(was, becomes))
    assert refused.value.field == field
    assert says in refused.value.message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("at_s\n1", "no column job"),
        ("at_s,job\n1,large", "jobs.csv:2: there is no [jobs.large]"),
        ("at_s,job\nsoon,small", "jobs.csv:2: at_s must be a number from 0"),
        ("at_s,job,priority\n1,small,12", "priority must be a number from 1 to 10, not '12'"),
        ("at_s,job\n", "no jobs in it"),
        (None, "cannot be read: No such file"),
    ],
)
def test_recorded_job_that_is_wrong_is_named(tmp_path: Path, text: str | None, says: str) -> None:
    mix = parse_mix(
        GOOD.replace('process = "poisson", load = 0.5, jobs = 10', 'process = "recorded", file = "jobs.csv"')
    )
    if text is not None:
        (tmp_path / "jobs.csv").write_text(text)
    with pytest.raises(InvalidError) as refused:
        draw(mix, 1, tmp_path)
    assert refused.value.field == "arrivals.file"
    assert says in refused.value.message


def test_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="cannot be read: No such file"):
        read_mix(tmp_path / "absent.toml")
    (tmp_path / "mix.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidError, match="is not UTF-8"):
        read_mix(tmp_path / "mix.toml")


def test_load_of_recorded_jobs_is_as_recorded() -> None:
    mix = parse_mix(
        GOOD.replace('process = "poisson", load = 0.5, jobs = 10', 'process = "at_once", jobs = 10')
    )
    with pytest.raises(InvalidError, match="poisson"):
        changed(mix, load=0.5, jobs=None)


async def test_example_is_printed_run_and_drawn(tmp_path: Path) -> None:
    callsheet = CommandLine(tmp_path)
    example = await callsheet.run("simulate", "--example")
    (tmp_path / "mix.toml").write_text(example.out)
    options = ("--jobs", "200", "--seed", "7", "--runs", "2", "--load", "0.8")
    shown = await callsheet.run("simulate", "mix.toml", *options, "--chart", "mix.svg")
    assert shown.code == 0, shown.err
    heading, *lines = shown.out.splitlines()
    assert heading == "1 host, 3 GPUs; 200 jobs at load 0.8 of the memory of the GPUs; seeds 7 to 8"
    [completed] = [line.split() for line in lines if line.startswith("Completed")]
    assert completed == ["Completed", "400", "400", "400", "400"]
    picture = (tmp_path / "mix.svg").read_text()
    assert "full-reservation" in picture
    assert picture.count("http") == picture.count('xmlns="http://www.w3.org/2000/svg"') == 1

    told = await callsheet.run(
        "simulate", "mix.toml", *options, "--json", "--policy", "easy", "--chart", "a.html"
    )
    assert told.code == 0, told.err
    document = told.document()
    assert (document["policy"], document["completed"], document["seeds"]) == ("easy", 400, [7, 8])
    assert "http" not in (tmp_path / "a.html").read_text()


async def test_command_without_a_file_or_with_a_bad_one_says_what_to_do(tmp_path: Path) -> None:
    callsheet = CommandLine(tmp_path)
    nothing = await callsheet.run("simulate")
    assert (nothing.code, nothing.err) == (2, "Error: FILE: name a file, or print one by --example\n")
    (tmp_path / "mix.toml").write_text(GOOD)
    chart = await callsheet.run("simulate", "mix.toml", "--chart", "mix.png")
    assert (chart.code, chart.err) == (2, "Error: --chart: mix.png has to end in .svg or .html\n")
