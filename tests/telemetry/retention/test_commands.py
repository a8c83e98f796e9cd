"""``telemetry prune`` and ``telemetry archive``."""

import json
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from telemetry.models import ArchiveChunk
from telemetry.retention import prune, reading
from telemetry.retention.sweep import DaysBusy, DaysLeft
from telemetry.subcommands import archive
from telemetry.subcommands import prune as prune_verb
from tests.support.old_days import archived, days_ago, ingest, lines, run, stored
from tests.support.telemetry import rows

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def archiving(settings: Any) -> None:
    settings.ORBIT_TELEMETRY_COLD_ARCHIVE_ENABLED = True


def call(*arguments: str) -> str:
    out = StringIO()
    call_command("telemetry", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_a_dry_run_says_what_would_go_and_drops_nothing() -> None:
    old, older = days_ago(40), days_ago(41)
    ingest(old, 3)
    ingest(older, 1)
    prune.step(older)
    for _ in range(4):
        prune.step(older)
    assert json.loads(call("prune", "--dry-run", "--json"))["days"] == [
        {"day": str(older), "events": 1, "archived": True},
        {"day": str(old), "events": 3, "archived": False},
    ]
    assert call("prune", "--dry-run").splitlines() == [
        f"{older}  1 events, archived",
        f"{old}  3 events",
        "2 days would be dropped, 4 events",
    ]
    assert stored(old) == 3


def test_prune_drops_and_says_so_in_words_or_json() -> None:
    old = days_ago(40)
    ingest(old, 3)
    assert call("prune").splitlines() == [
        f"{old} dropped",
        "1 days dropped, 0 readings deleted",
    ]
    assert (stored(old), archived(old)) == (0, {None: 3})
    assert json.loads(call("prune", "--json")) == {
        "dropped": [], "left": {}, "readings_deleted": 0,
    }  # fmt: skip


def test_days_that_are_left_give_an_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    old = days_ago(40)
    ingest(old, 1)
    monkeypatch.setattr(prune_verb, "_WAIT_SECONDS", 0.0)
    busy = prune.Step(prune.State.BUSY, "a backup holds them")
    monkeypatch.setattr(prune, "step", lambda *_: busy)
    with pytest.raises(DaysBusy, match=f"Not dropped: {old} .a backup holds them."):
        call("prune")
    monkeypatch.undo()
    call("prune")
    rows(
        "INSERT INTO telemetry_telemetryevent (id, occurred_at, name)"
        f" VALUES (gen_random_uuid(), '{old} 01:00Z', 'back') RETURNING 1"
    )
    with pytest.raises(DaysLeft, match="it was dropped before and holds events again"):
        call("prune")


def test_archives_are_listed_verified_and_exported(tmp_path: Path) -> None:
    old = days_ago(40)
    ingest(old, 3)
    ingest(old, 2, namespace="eu", second=1)
    run(old)
    listed = json.loads(call("archive", "list", "--json"))
    assert [(a["day"], a["namespace"], a["event_count"]) for a in listed] == [
        (str(old), "eu", 2),
        (str(old), None, 3),
    ]
    assert call("archive", "list").count(str(old)) == 2
    assert call("archive", "verify").splitlines() == [f"{old}  eu  ok", f"{old}  -  ok"]
    exported = call("archive", "export", str(old), "--namespace", "eu")
    assert sha256(exported.encode()).hexdigest() == listed[0]["sha256"]
    assert call("archive", "export", str(old), "--output", str(tmp_path / "day.jsonl")) == ""
    assert (tmp_path / "day.jsonl").read_bytes().splitlines() == lines(old)
    events = [json.loads(line) for line in call("archive", "export", str(old)).splitlines()]
    assert {"recorded_at"} <= events[0].keys()
    for line, event in zip(
        call("archive", "export", str(old), "--for-ingest").splitlines(), events, strict=True
    ):
        assert json.loads(line) == {k: v for k, v in event.items() if k != "recorded_at"}


def test_verify_names_what_is_damaged() -> None:
    old = days_ago(40)
    ingest(old, 3, namespace="eu")
    run(old)
    assert json.loads(call("archive", "verify", str(old), "--json"))[0]["problem"] is None
    ArchiveChunk.objects.update(data=b"\x1f\x8b")
    with pytest.raises(reading.ArchiveDamaged, match=f"{old}, namespace eu, chunk 0") as refusal:
        call("archive", "verify", str(old))
    assert refusal.value.kind == "conflict"
    with pytest.raises(reading.ArchiveDamaged):
        call("archive", "export", str(old))


def test_a_day_that_is_none_or_not_archived_is_refused(tmp_path: Path) -> None:
    with pytest.raises(archive.DayInvalid, match="'yesterday' is not a day"):
        call("archive", "verify", "yesterday")
    for verb in ("verify", "export"):
        with pytest.raises(reading.ArchiveUnknown, match="There is no archive of 2020-01-01"):
            call("archive", verb, "2020-01-01")
    old = days_ago(40)
    ingest(old, 1)
    run(old)
    with pytest.raises(archive.FileUnwritable, match="can't be written"):
        call("archive", "export", str(old), "--output", str(tmp_path / "no" / "file"))
