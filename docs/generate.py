"""Writes docs/reference from the code: what it documents can then not differ from what runs.

``python -m docs.generate`` writes; with ``--check`` it changes nothing and fails where a page is stale.
"""

import ast
import inspect
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from callsheet_gateway.app import described_app
from callsheet_scheduler.domain.job import FINAL, TRANSITIONS
from pydantic import JsonValue
from pydantic.alias_generators import to_camel

from callsheet.catalog import CATALOG, JobType
from callsheet.identities import MEANINGS, Role
from callsheet.params import SIZE_MARK, JobParams
from callsheet.service.permissions import PERMISSIONS
from callsheet.verify.judge import LAWS
from docs.commands import commands
from docs.endpoints import endpoints

ROOT: Final = Path(__file__).parents[1]
REFERENCE: Final = ROOT / "docs/reference"
EVENTS: Final = ROOT / "src/callsheet/verify/events.py"
PREFIX: Final = "CALLSHEET_"
NOTE: Final = "<!-- Written by docs/generate.py; run `make docs` after a change of the code. -->"

METRIC_KINDS: Final = {
    "Counter": "counter",
    "Gauge": "gauge",
    "GaugeMetricFamily": "gauge",
    "Histogram": "histogram",
    "Spread": "histogram",
}
RPC: Final = re.compile(r"rpc (\w+)\((stream )?\w+\) returns \((stream )?\w+\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One field of a settings class."""

    name: str
    kind: str
    default: str
    """As written in the code; empty where it must be given."""
    text: str


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    cells = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in cells)


def page(title: str, *parts: str) -> str:
    """Return a page of *parts* under *title*."""
    return "\n".join((f"# {title}\n", NOTE + "\n", *parts)).rstrip("\n") + "\n"


def joined(text: str) -> str:
    """Return *text* in one line."""
    return " ".join(text.split())


def modules(name: str) -> list[Path]:
    """Return the modules called *name* of all distributions."""
    return sorted([*(ROOT / "src").rglob(f"{name}.py"), *(ROOT / "services").glob(f"*/src/**/{name}.py")])


def life_cycle() -> str:
    """Draw the table of transitions."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> pending", "    [*] --> queued"]
    for state, targets in TRANSITIONS.items():
        lines += [f"    {state.name.lower()} --> {target.name.lower()}" for target in sorted(targets)]
    names = ", ".join(f"`{state.name.lower()}`" for state in sorted(FINAL))
    return page(
        "The life cycle of a job",
        "\n".join([*lines, "```", ""]),
        f"Final: {names}. Only a manual retry leaves `failed` and `cancelled`.\n",
    )


def job_type(kind: JobType) -> str:
    """Describe one job type."""
    schema = kind.params.schema_for_wire()
    required = schema.get("required")
    needed = set(map(str, required)) if isinstance(required, list) else set[str]()
    properties = schema.get("properties")
    texts = meanings(kind.params)
    rows = (
        (f"`{name}`", "yes" if name in needed else "", constraint(value), texts.get(name, ""))
        for name, value in (properties.items() if isinstance(properties, dict) else ())
    )
    nobody = " Only other jobs submit it." if kind.internal else ""
    facts = (
        f"Category `{kind.category.name.lower()}`, VRAM {kind.vram_mib} MiB,"
        f" run limit {kind.run_limit_s} s.{nobody}\n"
    )
    return f"## `{kind.name}`\n\n{kind.description} {facts}\n" + table(
        ("parameter", "required", "value", "meaning"), rows
    )


def meanings(params: type[JobParams]) -> dict[str, str]:
    """Return what is said of each parameter, inherited ones too, by its name on the wire."""
    said: dict[str, str] = {}
    for kind in reversed(params.mro()[: params.mro().index(JobParams)]):
        (node,) = ast.parse(inspect.getsource(kind)).body
        fields = settings_of(node) if isinstance(node, ast.ClassDef) else ()
        said |= {to_camel(field.name): field.text.replace("``", "`") for field in fields}
    return said


def constraint(value: JsonValue) -> str:
    """Return a parameter's schema as words of JSON Schema, titles left out."""
    if not isinstance(value, dict):
        return str(value)
    choices = value.get("anyOf")
    if isinstance(choices, list):
        return " or ".join(constraint(choice) for choice in choices)
    items = value.get("items")
    facts = {key: fact for key, fact in value.items() if key not in {"title", "items", SIZE_MARK}}
    words = [f"{key} `{shown(fact)}`" if key != "type" else str(fact) for key, fact in facts.items()]
    return ", ".join([*words, f"of {constraint(items)}"] if items is not None else words)


def shown(fact: JsonValue) -> str:
    """Return a fact as JSON has it, text as it is."""
    return fact if isinstance(fact, str) else json.dumps(fact)


def job_types() -> str:
    """Describe the catalogue."""
    parts = [job_type(kind) for _, kind in sorted(CATALOG.items())]
    return page("Job types", "Keys are written as on the wire. Unknown keys are refused.\n", *parts)


def docstring_after(node: ast.stmt) -> str:
    """Return the text of *node* where it is a docstring, in one line, else nothing."""
    if (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ):
        return joined(node.value.value)
    return ""


def settings_of(node: ast.ClassDef) -> Iterator[Setting]:
    """Yield the fields of a settings class."""
    for field, after in zip(node.body, [*node.body[1:], ast.Pass()], strict=True):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        yield Setting(
            name=field.target.id,
            kind=ast.unparse(field.annotation),
            default=default_of(field.value),
            text=docstring_after(after),
        )


def default_of(value: ast.expr | None) -> str:
    """Return the default as it is written; of a ``Field`` only the default, without its limits."""
    if value is None:
        return ""
    if not isinstance(value, ast.Call) or ast.unparse(value.func) != "Field":
        return ast.unparse(value)
    for keyword in value.keywords:
        if keyword.arg in {"default", "default_factory"}:
            return ast.unparse(keyword.value) + ("()" if keyword.arg == "default_factory" else "")
    return ast.unparse(value.args[0]) if value.args else ""


def settings() -> str:
    """List every setting of every process."""
    parts: list[str] = []
    for path in modules("settings"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in (entry for entry in tree.body if isinstance(entry, ast.ClassDef)):
            parents = [ast.unparse(parent) for parent in node.bases]
            variable = "BaseModel" not in parents
            rows = (
                (
                    f"`{PREFIX + field.name.upper() if variable else field.name}`",
                    f"`{field.kind}`",
                    f"`{field.default}`" if field.default else "must be given",
                    field.text,
                )
                for field in settings_of(node)
            )
            inherits = (
                f" Has those of {', '.join(parents)} as well."
                if variable and "BaseSettings" not in parents
                else ""
            )
            parts.append(
                f"## {node.name}\n\n{joined(ast.get_docstring(node) or '')}{inherits}"
                f" In `{path.relative_to(ROOT)}`.\n\n"
                + table(("variable", "type", "default", "meaning"), rows),
            )
    return page(
        "Settings", f"Each setting is an environment variable; `{PREFIX}` and the name in capitals.\n", *parts
    )


def metric_rows(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield the metrics that a module declares: name, kind, labels, help."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = {
        ast.unparse(node.target): node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and node.value
    }
    for node in ast.walk(tree):
        kind = METRIC_KINDS.get(ast.unparse(node.func)) if isinstance(node, ast.Call) else None
        if not isinstance(node, ast.Call) or kind is None:
            continue
        name, text = map(ast.literal_eval, node.args[:2])
        given = [*node.args[2:3], *(one.value for one in node.keywords if one.arg == "labels")]
        labels: tuple[str, ...] = (
            tuple(ast.literal_eval(constants.get(ast.unparse(given[0]), given[0]))) if given else ()
        )
        yield f"`{name}`", kind, ", ".join(f"`{label}`" for label in labels), joined(text)


def metrics() -> str:
    """List what the processes export at /metrics."""
    parts = [
        f"## `{path.relative_to(ROOT)}`\n\n" + table(("metric", "kind", "labels", "meaning"), iter(rows))
        for path in (*modules("metrics"), *modules("queue_metrics"))
        if (rows := list(metric_rows(path)))
    ]
    return page("Metrics", *(parts or ["No metric is declared yet.\n"]))


def calls(proto: str) -> Iterator[tuple[str, ...]]:
    """Yield the calls of a proto's services: name, shape, comment."""
    comment: list[str] = []
    for line in map(str.strip, proto.splitlines()):
        if line.startswith("//"):
            comment.append(line.removeprefix("//").strip())
            continue
        if found := RPC.match(line):
            name, streams_in, streams_out = found.groups()
            shape = f"{'stream' if streams_in else 'one'} → {'stream' if streams_out else 'one'}"
            yield f"`{name}`", shape, joined(" ".join(comment))
        comment.clear()


def services() -> str:
    """List the gRPC services with their calls."""
    parts: list[str] = []
    ours = sorted((ROOT / "protos/callsheet/v1").glob("*_service.proto"))
    for path in [*ours, ROOT / "protos/externalscaler/externalscaler.proto"]:
        proto = path.read_text(encoding="utf-8")
        name = re.findall(r"^service (\w+)", proto, re.MULTILINE)[0]
        parts.append(
            f"## {name}\n\nIn `{path.relative_to(ROOT)}`.\n\n"
            + table(("call", "shape", "roles", "meaning"), allowed(path, name, calls(proto)))
        )
    told = "; ".join(f"*{role}* {MEANINGS[role]}" for role in Role)
    intro = f"Where TLS is on, a call is answered to the roles beside it and to no other: {told}.\n"
    return page("gRPC services", intro, *parts)


def allowed(path: Path, service: str, rows: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Put between the shape and the meaning of each call who may call it."""
    package = "externalscaler" if path.stem == "externalscaler" else "callsheet.v1"
    for call, shape, meaning in rows:
        roles = PERMISSIONS[f"/{package}.{service}/{call.strip('`')}"]
        yield call, shape, ", ".join(role for role in Role if role in roles), meaning


def fields_of(node: ast.ClassDef) -> Iterator[tuple[str, ...]]:
    """Yield the fields of an event: name, type, meaning."""
    for field, after in zip(node.body, [*node.body[1:], ast.Pass()], strict=True):
        if isinstance(field, ast.AnnAssign) and ast.unparse(field.target) not in {"model_config", "what"}:
            kind = ast.unparse(field.annotation).replace("'", '"')
            yield f"`{ast.unparse(field.target)}`", f"`{kind}`", docstring_after(after)


def words_of(node: ast.ClassDef) -> list[str]:
    """Return the words that a line's ``what`` may have to be such an event."""
    annotations = [
        field.annotation
        for field in node.body
        if isinstance(field, ast.AnnAssign) and ast.unparse(field.target) == "what"
    ]
    return [
        str(word.value) for one in annotations for word in ast.walk(one) if isinstance(word, ast.Constant)
    ]


def history() -> str:
    """Describe the lines of a recorded history, and the laws it is judged by."""
    tree = ast.parse(EVENTS.read_text(encoding="utf-8"))
    parts: list[str] = []
    for node in (entry for entry in tree.body if isinstance(entry, ast.ClassDef)):
        words = " or ".join(f"`{word}`" for word in words_of(node))
        rows = list(fields_of(node))
        title = f"{node.name}: {words}" if words else node.name
        fields = "\n" + table(("field", "type", "meaning"), iter(rows)) if rows else ""
        parts.append(f"### {title}\n\n{joined(ast.get_docstring(node) or '')}\n{fields}")
    laws = ((law.name, law.sentence) for law in LAWS)
    return page(
        "Recorded histories",
        "What `callsheet verify` reads and judges. How to record one and how to read a verdict is in "
        "[the guide](../guides/histories.md).\n",
        "## Laws\n\n" + table(("law", "demands"), laws),
        "## Lines\n\nEach line is a JSON object; `what` says which of these it is. Fields that are not "
        "known are passed over.\n",
        *parts,
    )


def documents() -> dict[str, str]:
    """Return every page by file name, as it has to be."""
    return {
        "cli.md": page("The command line", *commands()),
        "grpc.md": services(),
        "history.md": history(),
        "job-types.md": job_types(),
        "life-cycle.md": life_cycle(),
        "metrics.md": metrics(),
        "rest.md": page("REST", *endpoints(described_app().openapi())),
        "settings.md": settings(),
    }


def main(arguments: list[str]) -> int:
    """Write the pages, or with ``--check`` say which are stale."""
    REFERENCE.mkdir(parents=True, exist_ok=True)
    stale = [
        (REFERENCE / name, content)
        for name, content in documents().items()
        if not (REFERENCE / name).is_file() or (REFERENCE / name).read_text(encoding="utf-8") != content
    ]
    for path, content in stale:
        print(path.relative_to(ROOT))
        if "--check" not in arguments:
            path.write_text(content, encoding="utf-8")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
