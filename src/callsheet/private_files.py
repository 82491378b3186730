"""Writes files that only their owner may read, whole or not at all."""

import fcntl
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write *text* to *path* with mode 0600; after a crash the file is as before or complete.

    Raises:
        OSError: The file cannot be written.
    """
    staged = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        staged.rename(path)
    finally:
        staged.unlink(missing_ok=True)


@contextmanager
def alone_in(folder: Path) -> Generator[None]:
    """Make *folder* where there is none, and wait until no other process or thread has it to itself.

    Raises:
        OSError: The folder can be neither made nor opened.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def private_secret(path: Path) -> tuple[str, bool]:
    """Return the secret kept in *path* and whether it was made just now: 256 bits as 43 letters.

    Raises:
        OSError: The file can be neither read nor written.
    """
    try:
        kept = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        kept = ""
    if kept:
        path.chmod(0o600)
        return kept, False
    secret = secrets.token_urlsafe(32)
    write_private(path, secret + "\n")
    return secret, True
