"""``callsheet models``: the models that workers may run. Nothing here asks a scheduler."""

import asyncio
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.text import Text

from callsheet.cli.commands import AsJson, report
from callsheet.cli.exits import ExitCode
from callsheet.cli.humane import duration_text, size_text
from callsheet.cli.output import Output, make_console, state_cell
from callsheet.cli.painters import painter_for
from callsheet.errors import CallsheetError, InvalidError, NotFoundError
from callsheet.models.shelf import Installed, check_hashes, find, installed
from callsheet.service.clock import SystemClock

app = typer.Typer(help="See, fetch and check the models that workers may run.", no_args_is_help=True)

ModelDir = Annotated[
    Path | None,
    typer.Option(
        "--models",
        envvar="CALLSHEET_MODEL_DIR",
        metavar="DIR",
        help="The model folder; without it `models` in the folder of `callsheet up`.",
    ),
]
DataFolder = Annotated[Path, typer.Option(envvar="CALLSHEET_DATA", help="The folder of `callsheet up`.")]
RUNTIME = "onnxruntime"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found of one model."""

    model: Installed
    problem: str
    """Why it cannot be used; empty for one that can."""
    labels: int | None
    """How many it has; None where it was not loaded."""
    took_s: float

    def document(self) -> dict[str, JsonValue]:
        """Return it as JSON has it."""
        loaded: dict[str, JsonValue] = (
            {} if self.labels is None else {"labels": self.labels, "seconds": round(self.took_s, 3)}
        )
        return {**_document(self.model), "usable": not self.problem, "problem": self.problem, **loaded}


@app.command("list")
def list_models(*, models: ModelDir = None, data: DataFolder = Path("var"), as_json: AsJson = False) -> None:
    """List what lies in the model folder: usable, or why not, as far as manifests and sizes tell."""
    output = Output(as_json=as_json)

    def main() -> ExitCode:
        found = installed(_shelf(models, data))
        if as_json:
            for one in found:
                output.document(_document(one))
        elif found:
            columns = ("MODEL", "REVISION", "LICENCE", "SIZE>", "VRAM>", "STATE", "REASON")
            output.table(columns, [_row(one) for one in found])
        else:
            output.remark(f"No models in {_shelf(models, data)}.")
        if found and importlib.util.find_spec(RUNTIME) is None:
            output.remark("ONNX Runtime is not installed here: install callsheet[inference] to run them.")
        return ExitCode.OK

    _run(main)


@app.command("pull")
def pull_model(
    manifest: Annotated[
        str, typer.Argument(metavar="MANIFEST", help="The model's manifest: a file, or an https:// address.")
    ],
    *,
    sha256: Annotated[
        str, typer.Option("--sha256", metavar="HEX", help="The manifest's own hash; an address needs it.")
    ] = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="In place of another model of the same name.")
    ] = False,
    models: ModelDir = None,
    data: DataFolder = Path("var"),
    as_json: AsJson = False,
) -> None:
    """Fetch a model's files, see that they are those of the manifest, and put it into the model folder.

    After a cut the same command goes on where it was. Read the licence in the manifest before.
    """
    from callsheet.models.pull import pull, read_source  # noqa: PLC0415 -- other commands need none of it

    output = Output(as_json=as_json)

    def main() -> ExitCode:
        content = read_source(manifest, sha256)
        with painter_for(make_console(stderr=True)) as painter:

            def told(name: str, done: int, total: int) -> None:
                painter.show(name, done, total, f"{size_text(done)} of {size_text(total)}")

            made = pull(_shelf(models, data), content, replace=replace, told=told)
        if as_json:
            output.document(_document(made))
        else:
            output.say(str(made.folder))
        return ExitCode.OK

    _run(main)


@app.command("verify")
def verify_models(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Which; without one all.")
    ] = None,
    *,
    hashes_only: Annotated[bool, typer.Option("--hashes-only", help="Do not load them.")] = False,
    models: ModelDir = None,
    data: DataFolder = Path("var"),
    as_json: AsJson = False,
) -> None:
    """Read every file again, compare it with its manifest, load the model without a card, and try it."""
    output = Output(as_json=as_json)

    def main() -> ExitCode:
        shelf = _shelf(models, data)
        chosen = [_named(shelf, name) for name in names] if names else installed(shelf)
        found = [_verified(one, load=not hashes_only) for one in chosen]
        if as_json:
            for one in found:
                output.document(one.document())
        elif found:
            columns = ("MODEL", "REVISION", "STATE", "FILES>", "LABELS>", "LOADED IN>", "REASON")
            output.table(columns, [_verdict_row(one) for one in found])
        else:
            output.remark(f"No models in {shelf}.")
        return ExitCode.OK if not any(one.problem for one in found) else ExitCode.FAILED

    _run(main)


def _run(main: Callable[[], ExitCode]) -> None:
    try:
        code = main()
    except CallsheetError as error:
        code = report(error)
    except KeyboardInterrupt:
        make_console(stderr=True).print("Interrupted.")
        code = ExitCode.INTERRUPTED
    raise typer.Exit(code)


def _shelf(models: Path | None, data: Path) -> Path:
    return models if models is not None else data / "models"


def _named(shelf: Path, name: str) -> Installed:
    found = find(shelf, name)
    if found is None:
        raise NotFoundError(f"there is no model {name} in {shelf}; `callsheet models list` shows which are")
    return found


def _verified(model: Installed, *, load: bool) -> Verdict:
    clock = SystemClock()
    begun, labels, problem = clock.monotonic(), None, model.problem
    try:
        if not problem:
            check_hashes(model)
            labels = _loaded(model) if load else None
    except CallsheetError as error:
        problem = error.message
    return Verdict(model=model, problem=problem, labels=labels, took_s=clock.monotonic() - begun)


def _loaded(model: Installed) -> int:
    """Load a model as a worker would, have it score a grey picture, and return how many labels it has."""
    try:
        from callsheet.worker.inference.trial import tried  # noqa: PLC0415 -- other commands need none of it
    except ImportError as error:
        raise InvalidError(
            f"its files are good, but it cannot be loaded here: {error.name} is not installed;"
            " install callsheet[inference], or verify with --hashes-only"
        ) from None
    with asyncio.Runner() as runner:
        return runner.run(tried(model))


def _document(model: Installed) -> dict[str, JsonValue]:
    manifest = model.manifest
    known: dict[str, JsonValue] = (
        {}
        if manifest is None
        else {
            "kind": manifest.kind,
            "revision": manifest.source.revision,
            "licence": manifest.licence,
            "sizeBytes": manifest.size_bytes,
            "vramMib": manifest.vram_mib,
            "files": len(manifest.files),
        }
    )
    state: dict[str, JsonValue] = {"usable": not model.problem, "problem": model.problem}
    return {"name": model.name, "folder": str(model.folder), **known, **state}


def _row(model: Installed) -> tuple[str | Text, ...]:
    manifest = model.manifest
    state = state_cell("broken" if model.problem else "ok")
    if manifest is None:
        return (model.name, "", "", "", "", state, model.problem)
    return (
        model.name,
        manifest.label.partition("@")[2],
        manifest.licence,
        size_text(manifest.size_bytes),
        f"{manifest.vram_mib:,} MB",
        state,
        model.problem,
    )


def _verdict_row(found: Verdict) -> tuple[str | Text, ...]:
    manifest = found.model.manifest
    return (
        found.model.name,
        "" if manifest is None else manifest.label.partition("@")[2],
        state_cell("broken" if found.problem else "ok"),
        "" if manifest is None else str(len(manifest.files)),
        "" if found.labels is None else f"{found.labels:,}",
        "" if found.labels is None else duration_text(found.took_s),
        found.problem,
    )
