"""What belongs on record is decided in one place."""

import pytest
from callsheet_gateway.access.trail import WAITING_MAX, Trail, is_audited

from callsheet.client import Client, Patience
from callsheet.errors import UnavailableError
from callsheet.service.clock import SystemClock


@pytest.mark.parametrize(
    ("method", "status", "wrong", "audited"),
    [
        ("POST", 201, False, True),
        ("PATCH", 422, False, True),
        ("DELETE", 403, False, True),
        ("PUT", 500, False, True),
        ("POST", 401, True, True),
        ("GET", 401, True, True),
        ("GET", 401, False, False),
        ("POST", 401, False, False),
        ("POST", 429, False, False),
        ("GET", 200, False, False),
        ("GET", 403, False, False),
        ("HEAD", 404, False, False),
    ],
)
def test_changes_and_wrong_credentials_are_on_record(
    method: str, status: int, *, wrong: bool, audited: bool
) -> None:
    assert is_audited(method, status, wrong=wrong) is audited


async def test_when_nothing_more_can_be_kept_nothing_more_may_be_done_and_the_log_tells_of_the_loss(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trail = Trail(Client("127.0.0.1:1", patience=Patience(total_s=0.0, try_s=0.1)), SystemClock())
    for number in range(WAITING_MAX):
        trail.check_room()
        trail.note(actor="", address="", action="", target=str(number), status=200)
    with pytest.raises(UnavailableError, match="audit trail"):
        trail.check_room()
    monkeypatch.setattr("callsheet_gateway.access.trail.CLOSE_S", 0.0)
    await trail.close()
    assert "entries of the audit trail were lost" in caplog.text
