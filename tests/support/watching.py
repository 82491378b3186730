"""What deploy/observability asks Prometheus for: the queries of its alerts and panels, what they name."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "observability"
RULES: Final = FOLDER / "rules.yml"
DASHBOARDS: Final = sorted((FOLDER / "grafana").glob("*.json"))

_SELECTOR: Final = re.compile(r"\b((?:media|callsheet)_\w+)(?:\{([^}]*)\})?")
_GROUPING: Final = re.compile(r"\b(?:by|on) ?\(([^)]*)\)")
_WORD: Final = re.compile(r"\w+")
_MATCHER: Final = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')


def alerts() -> dict[str, str]:
    """Return the expression of each alert."""
    text = RULES.read_text(encoding="utf-8")
    found = re.findall(r"- alert: (\w+)\n +expr: (?:>-\n)?((?:.+\n)(?: {10}.+\n)*)", text)
    return {name: " ".join(expression.split()) for name, expression in found}


def panels() -> Iterator[tuple[str, str, str]]:
    """Yield title, expression and legend of every query of the dashboards."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for target in panel.get("targets", ()):
                yield panel["title"], target["expr"], target["legendFormat"]


def named(expression: str) -> dict[str, set[str]]:
    """Return the series that an expression names, each with the labels that it must have."""
    grouped = {label for group in _GROUPING.findall(expression) for label in _WORD.findall(group)}
    return {
        name: grouped | set(_MATCHER.findall(matchers)) for name, matchers in _SELECTOR.findall(expression)
    }
