"""Reads published files, without leaving their root."""

import os
from pathlib import Path
from typing import Final

from callsheet.errors import NotFoundError

#: Bytes of a file that are served from memory.
FILE_BYTES_MAX: Final = 64 * 1024 * 1024


def read_file(root: Path, path: str) -> bytes:
    """Return the content of *path* below *root*; no step of the way may be a symbolic link.

    Raises:
        NotFoundError: It is not there, is no plain file, or leaves the root.
    """
    try:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            *folders, name = path.split("/")
            for part in folders:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
                os.close(folder)
                folder = below
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        finally:
            os.close(folder)
        with os.fdopen(file, "rb") as opened:
            return opened.read(FILE_BYTES_MAX)
    except OSError as error:
        message = f"{path} is not there"
        raise NotFoundError(message) from error
