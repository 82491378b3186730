"""What the architecture tests look at: the files of the repository, read and parsed once."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]

#: Where distributed code lies, by the package it makes.
PACKAGES = {
    "callsheet": ROOT / "src/callsheet",
    "callsheet_scheduler": ROOT / "services/scheduler/src/callsheet_scheduler",
    "callsheet_cpu_worker": ROOT / "services/cpu_worker/src/callsheet_cpu_worker",
    "callsheet_gpu_worker": ROOT / "services/gpu_worker/src/callsheet_gpu_worker",
    "callsheet_gateway": ROOT / "services/gateway/src/callsheet_gateway",
    "callsheet_immich_agent": ROOT / "services/immich_agent/src/callsheet_immich_agent",
}

STORE = PACKAGES["callsheet_scheduler"] / "store"

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def files() -> tuple[Path, ...]:
    """Return every file that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],  # noqa: S607 -- git of the path
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    names = sorted(set(listed.stdout.decode().split("\0")) - {""})
    return tuple(path for name in names if (path := ROOT / name).is_file())


@cache
def code() -> tuple[Path, ...]:
    """Return our Python modules, distributed or not, generated ones left out."""
    generated = PACKAGES["callsheet"] / "v1"
    return tuple(path for path in files() if path.suffix == ".py" and generated not in path.parents)


@cache
def shipped() -> tuple[Path, ...]:
    """Return our Python modules that are part of a distribution."""
    return tuple(path for path in code() if any(folder in path.parents for folder in PACKAGES.values()))


@cache
def text(path: Path) -> str:
    """Return the content of *path*."""
    return path.read_text(encoding="utf-8")


@cache
def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of *path*."""
    return ast.parse(text(path), filename=str(path))


def functions(path: Path) -> Iterator[FunctionNode]:
    """Yield every function and method of *path*."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, FunctionNode):
            yield node


def classes(path: Path) -> Iterator[ast.ClassDef]:
    """Yield every class of *path*."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ClassDef):
            yield node


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted name of everything *path* imports: modules, and names out of modules."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def where(path: Path, node: ast.stmt | ast.expr | ast.arg) -> str:
    """Return *node*'s place as ``file:line``."""
    return f"{path.relative_to(ROOT)}:{node.lineno}"
