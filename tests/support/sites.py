"""Environments of their own for packages that tests install beside ours."""

import sysconfig
import venv
from pathlib import Path


def environment_with(folder: Path, *paths: Path) -> Path:
    """Make a virtual environment that has all of this one, and what lies below *paths*; return its Python."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin/python"
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
    ours = sysconfig.get_path("purelib")
    lines = [f"import site; site.addsitedir({ours!r})", *(str(path) for path in paths)]
    (site / "beside.pth").write_text("\n".join(lines) + "\n")
    return python
