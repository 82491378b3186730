"""The folder with certificates is read again when its files change."""

import logging
import os
from pathlib import Path

import pytest

from callsheet.identities import Role
from callsheet.tls import CERTIFICATE_FILE
from tests.support.certificates import Certificates


def test_a_file_put_right_without_a_new_time_or_length_is_taken(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    tls = certificates.tls(Role.WORKER)
    first = tls.newest
    certificates.issue(Role.WORKER)
    file = tls.path / CERTIFICATE_FILE
    good = file.read_bytes()
    file.write_bytes(b"x" * len(good))
    assert tls.newest is first

    known = file.stat()
    file.write_bytes(good)
    while file.stat().st_ctime_ns == known.st_ctime_ns:
        os.utime(file, ns=(known.st_atime_ns, known.st_mtime_ns))
    os.utime(file, ns=(known.st_atime_ns, known.st_mtime_ns))

    assert tls.newest.certificate == good


def test_files_that_were_only_touched_are_no_news(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    certificates = Certificates(tmp_path)
    tls = certificates.tls(Role.WORKER)
    first = tls.newest

    for file in tls.path.iterdir():
        known = file.stat().st_ctime_ns
        while file.stat().st_ctime_ns == known:
            file.touch()

    assert tls.newest is first
    assert not caplog.records
