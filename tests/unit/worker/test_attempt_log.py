"""An attempt's log: cut into chunks, cleaned, bounded."""

from hypothesis import given
from hypothesis import strategies as st

from callsheet.v1.lease_service_pb2 import LeaseRef, LogChunk
from callsheet.worker.stream.attempt_log import (
    CHUNK_BYTES_MAX,
    LINE_BYTES_MAX,
    LOG_BYTES_MAX,
    WAITING_BYTES_MAX,
    AttemptLog,
    LogOutbox,
)

LEASE = LeaseRef(job_id="job", token=1)
STAMP = "[2026-01-01 00:00:00] "


def drained(log: AttemptLog) -> list[LogChunk]:
    chunks: list[LogChunk] = []
    while (chunk := log.take()) is not None:
        chunks.append(chunk)
    return chunks


@given(st.lists(st.text(max_size=6000), max_size=20))
def test_every_chunk_is_whole_lines_of_valid_text_within_its_limit(texts: list[str]) -> None:
    log = AttemptLog(LEASE)
    for text in texts:
        log.add(text, STAMP)

    chunks = drained(log)

    assert [chunk.sequence for chunk in chunks] == list(range(1, len(chunks) + 1))
    for chunk in chunks:
        assert chunk.text.endswith("\n")
        assert len(chunk.text.encode()) <= CHUNK_BYTES_MAX
    lines = "".join(chunk.text for chunk in chunks).split("\n")[:-1]
    assert len(lines) == sum(text.count("\n") + 1 for text in texts)
    assert all(line.startswith(STAMP) and len(line.encode()) < LINE_BYTES_MAX for line in lines)
    assert log.waiting_bytes == 0


def test_control_characters_cannot_reach_a_terminal_or_a_database() -> None:
    log = AttemptLog(LEASE)

    log.add("a\x00b\x1b[2Jc\rd\x85e\ud800f\r\n\tg", "")

    assert [chunk.text for chunk in drained(log)] == ["a\ufffdb\ufffd[2Jc\ufffdd\ufffde?f\n\tg\n"]


def test_full_log_says_how_many_lines_it_left_out() -> None:
    log = AttemptLog(LEASE)
    line = "x" * 1023
    for _ in range(WAITING_BYTES_MAX // 1024 + 7):
        log.add(line, "")
    drained(log)

    log.add("later", "")

    assert drained(log)[0].text == "(7 lines left out here: the log was full)\nlater\n"


def test_last_lines_are_kept_however_long_the_log_was() -> None:
    log = AttemptLog(LEASE)
    for _ in range(LOG_BYTES_MAX // 1024 + 5):
        log.add("x" * 1023, "")
        drained(log)

    log.close("--- ERROR ---\nall is lost", "")

    assert drained(log)[0].text == ("(5 lines left out here: the log was full)\n--- ERROR ---\nall is lost\n")


def test_chunks_are_kept_until_a_later_heartbeat_is_answered() -> None:
    outbox = LogOutbox()
    log = AttemptLog(LEASE)
    taken: list[LogChunk] = []
    for heartbeat in (1, 2):
        log.add(f"before heartbeat {heartbeat}", "")
        outbox.talks(("job", 1), log)
        outbox.due()
        taken += outbox.take(1000, heartbeat)

    outbox.kept(1)
    outbox.again()

    assert outbox.take(1000, 3) == taken[1:]
