"""Alerts and dashboards hold together; that their series exist is tried on a running system."""

import json
import re
import shutil
import subprocess

import pytest

from tests.support.prometheus import FACTOR, shortened
from tests.support.watching import DASHBOARDS, FOLDER, RULES, alerts, named, panels


def test_every_alert_does_what_its_trials_say() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool here: apt-get install prometheus")
    tried = subprocess.run(
        [promtool, "test", "rules", str(FOLDER / "rules_test.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert tried.returncode == 0, tried.stdout + tried.stderr
    checked = subprocess.run(
        [promtool, "check", "config", str(FOLDER / "prometheus.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_is_tried_and_told_of_in_the_guide() -> None:
    text = RULES.read_text(encoding="utf-8")
    names = set(alerts())
    assert len(names) == text.count("- alert: ")
    trials = (FOLDER / "rules_test.yml").read_text(encoding="utf-8")
    patterns = re.findall(r'alertname=~"([^"]+)"', trials)
    untried = [
        name
        for name in names
        if name not in trials and not any(re.fullmatch(pattern, name) for pattern in patterns)
    ]
    assert not untried
    guide = (FOLDER.parents[1] / "docs/guides/observability.md").read_text(encoding="utf-8")
    assert not [name for name in names if f"`{name}`" not in guide]


def test_the_trial_beside_the_tests_divides_every_time_of_a_rule_and_changes_nothing_else() -> None:
    rules = RULES.read_text(encoding="utf-8")
    short = shortened(rules)
    assert re.findall(r"for: (\w+)", short) == [
        f"{minutes}s" for minutes in re.findall(r"for: (\d+)m", rules)
    ]
    assert re.findall(r"\[(\w+)\]", short) == [f"{minutes}s" for minutes in re.findall(r"\[(\d+)m\]", rules)]
    assert re.findall(r"\d \* (\d+)", short) == [
        str(int(seconds) // FACTOR) for seconds in re.findall(r"\d \* (\d+)", rules)
    ]
    time = re.compile(r"(?<=for: )\w+|(?<=\[)\w+(?=\])|(?<=\d \* )\d+")
    assert time.sub("", short) == time.sub("", rules)


def test_panels_say_what_they_show_and_their_legends_name_labels_that_are_kept() -> None:
    for path in DASHBOARDS:
        shown = [
            one for one in json.loads(path.read_text(encoding="utf-8"))["panels"] if one["type"] != "row"
        ]
        assert all(one["description"] for one in shown)
        assert len({one["id"] for one in shown}) == len(shown)
    for title, expression, legend in panels():
        grouped = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", expression))))
        assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= grouped, title
        assert named(expression), title
