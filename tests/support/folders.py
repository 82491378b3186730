"""Folders that an unprivileged account may enter, where pytest's own are closed to it."""

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from callsheet.service.settings import AnyRootSettings, RootSettings


@contextmanager
def open_folder() -> Generator[Path]:
    """Make a folder that everybody may enter, for the time of the block."""
    folder = Path(tempfile.mkdtemp(prefix="callsheet-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def folder_of(root: AnyRootSettings) -> Path:
    """Return the folder of a root that is one."""
    assert isinstance(root, RootSettings)
    return root.path
