"""``telemetry ingest``: a file or a pipe, as a task of its own."""

import gzip
import io
import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from governance.kernel.commands import EXIT
from governance.kernel.errors import OrbitError
from telemetry.ingest import batch, schema_gate, stream
from telemetry.models import TelemetryEvent
from telemetry.subcommands.ingest import FileUnreadable
from tests.support.events import event, ndjson

pytestmark = pytest.mark.django_db

GOOD = [event(session_id="s1") for _ in range(25)]


class Result:
    def __init__(self, code: int, stdout: str, stderr: str) -> None:
        self.code, self.stdout, self.stderr = code, stdout, stderr


@pytest.fixture
def ingest(tmp_path: Path) -> Callable[..., Result]:
    def run(data: bytes, *options: str) -> Result:
        file = tmp_path / "events"
        file.write_bytes(data)
        stdout, stderr, code = io.StringIO(), io.StringIO(), 0
        try:
            call_command("telemetry", "ingest", str(file), *options, stdout=stdout, stderr=stderr)
        except SystemExit as end:
            code = int(end.code or 0)
        return Result(code, stdout.getvalue(), stderr.getvalue())

    return run


def stored(session: str = "s1") -> int:
    return TelemetryEvent.objects.filter(session_id=session).count()


def own_events() -> list[Any]:
    return list(
        TelemetryEvent.objects.filter(session_id__startswith="orbit-ingest-").order_by("id")
    )


def test_a_file_is_stored_and_again_skipped(ingest: Callable[..., Result]) -> None:
    first = ingest(ndjson(GOOD))
    assert (first.code, first.stderr) == (0, "")
    assert first.stdout.startswith("25 accepted, 0 duplicate, 0 rejected.")
    again = ingest(gzip.compress(json.dumps(GOOD).encode()), "--json")
    body = json.loads(again.stdout)
    assert (again.code, again.stderr) == (0, "")
    assert (body["accepted"], body["duplicate"], body["rejected"]) == (0, 25, [])
    assert stored() == 25
    assert TelemetryEvent.objects.filter(session_id=body["session_id"]).exists()


def test_it_is_a_task(ingest: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "BATCH_EVENTS", 10)
    ingest(ndjson([*GOOD, 1]))
    events = own_events()
    assert [row.name for row in events] == [
        "task_start",
        "decision",
        *["event_insert"] * 3,
        "task_end",
    ]
    assert len({(row.session_id, row.task_id) for row in events}) == 1
    assert events[1].metadata["decision"] == "schema_ok"
    assert [row.metadata for row in events[2:5]] == [
        {"accepted": 10, "duplicate": 0, "rejected": 0},
        {"accepted": 10, "duplicate": 0, "rejected": 0},
        {"accepted": 5, "duplicate": 0, "rejected": 1},
    ]
    assert events[5].duration_ms >= 0
    assert events[5].metadata == {
        "success": False,
        "accepted": 25,
        "duplicate": 0,
        "rejected": 1,
    }


def test_rejected_events_are_listed_by_line_up_to_a_bound(ingest: Callable[..., Result]) -> None:
    result = ingest(b"\n" + ndjson([GOOD[0]]) + b"x\n" * 50 + ndjson([GOOD[1]]))
    assert result.code == 2
    lines = result.stderr.splitlines()
    assert len(lines) == 21
    assert lines[0].startswith("line 3: invalid_json: ")
    assert lines[20] == "... and 30 more (--json lists the first 1,000)."
    assert stored() == 2


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("{}".encode("utf-16"), "UTF-16"),
        (gzip.compress(ndjson(GOOD), mtime=0)[:-20], "gzip stream is broken"),
        (b"\x1f\x8b", "gzip stream is broken"),
        (ndjson(GOOD)[:-20], "invalid_json"),
        (b"x" * 300_000, "too_large"),
    ],
    ids=["utf-16", "cut gzip", "gzip header", "cut line", "long line"],  # the same in each process
)
def test_what_cannot_be_read_is_said(ingest: Callable[..., Result], data: bytes, said: str) -> None:
    result = ingest(data)
    assert result.code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_an_empty_file_is_fine(ingest: Callable[..., Result]) -> None:
    for data in (b"", b"\n\n", b"[]", gzip.compress(b""), b"\xef\xbb\xbf"):
        assert ingest(data).stdout.startswith("0 accepted, 0 duplicate, 0 rejected.")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(FileUnreadable, match=str(path)) as caught:
            call_command("telemetry", "ingest", str(path))
        assert EXIT[caught.value.kind] == 3
    assert own_events() == []


def test_missing_tables_are_one_error_and_nothing_is_written(
    ingest: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(schema_gate, "TABLES", (*schema_gate.TABLES, "telemetry_missing"))
    with pytest.raises(OrbitError, match=r"telemetry_missing.*manage\.py migrate") as caught:
        ingest(ndjson(GOOD))
    assert EXIT[caught.value.kind] == 7
    assert [vars(record)["decision"] for record in caplog.records] == ["schema_missing"]
    assert not TelemetryEvent.objects.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_task(
    ingest: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(stream, "BATCH_EVENTS", 10)
    store_lines, batches = batch.store_lines, iter([False, False, False, True])

    def store_and_stop(*args: Any, **options: Any) -> Any:
        outcomes = store_lines(*args, **options)
        if next(batches, False):
            os.kill(os.getpid(), number)
        return outcomes

    monkeypatch.setattr(batch, "store_lines", store_and_stop)
    before = signal.getsignal(number)
    result = ingest(ndjson(GOOD))
    assert signal.getsignal(number) is before
    assert result.code == 128 + number
    assert "interrupted" in result.stderr
    last = own_events()[-1]
    assert (last.name, last.metadata["success"], last.level) == ("task_end", False, "warning")
    assert ingest(ndjson(GOOD)).code == 0
    assert stored() == 25


def test_the_reading_thread_ends(ingest: Callable[..., Result]) -> None:
    ingest(ndjson(GOOD))
    assert not [thread for thread in threading.enumerate() if thread.name == "ingest-reader"]
