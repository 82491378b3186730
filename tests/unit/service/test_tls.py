"""The folder with certificates is read again when its files change."""

import os
from pathlib import Path

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
