"""The time zone that the nightly build goes by."""

from pathlib import Path

import pytest
from callsheet_scheduler.local.nightly import time_zone


@pytest.mark.parametrize(
    ("named", "target", "zone"),
    [
        ("Europe/Berlin", "/usr/share/zoneinfo/Asia/Tokyo", "Europe/Berlin"),
        (":Europe/Berlin", "", "Europe/Berlin"),
        ("", "/usr/share/zoneinfo/Asia/Tokyo", "Asia/Tokyo"),
        ("Nowhere/Land", "/usr/share/zoneinfo/Asia/Tokyo", "Asia/Tokyo"),
        ("/etc/passwd", "/opt/elsewhere", "UTC"),
        ("", "", "UTC"),
    ],
)
def test_time_zone_is_what_the_machine_says_or_utc(
    tmp_path: Path, named: str, target: str, zone: str
) -> None:
    link = tmp_path / "localtime"
    if target:
        link.symlink_to(target)
    assert time_zone(named, link) == zone
