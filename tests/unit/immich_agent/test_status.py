"""The list of a server's queues, as people see it."""

import pytest
from callsheet_immich_agent.policy import Hold, QueueSeen, Rules
from callsheet_immich_agent.status import show


def test_queues_are_listed_in_their_order_with_who_keeps_them_paused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    queues = [
        QueueSeen(name="backupDatabase", paused=False),
        QueueSeen(name="ocr", paused=True, held=1200, failed=3),
        QueueSeen(name="smartSearch", paused=True, delayed=1),
        QueueSeen(name="sidecar", paused=False, active=2, waiting=5),
        QueueSeen(name="library", paused=False),
    ]
    show(queues, {"smartSearch": Hold.OURS, "ocr": Hold.THEIRS}, Rules(), as_json=False)

    assert [line.split(maxsplit=6) for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["sidecar", "running", "2", "5", "0", "0"],
        ["smartSearch", "paused", "0", "0", "1", "0", "by the controller"],
        ["library", "open", "0", "0", "0", "0"],
        ["ocr", "paused", "0", "1,200", "0", "3", "by somebody else"],
        ["backupDatabase", "open", "0", "0", "0", "0", "never touched"],
    ]
