"""Days older than the retention are archived, verified and dropped; no event is lost or doubled."""

from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, transaction

from telemetry import database, days, partitions, staging
from telemetry.ingest import batch
from telemetry.ingest.batch import Outcome
from telemetry.models import Artifact, ErrorGroup, TelemetryDay
from telemetry.retention import archive, prune, reading
from telemetry.retention.prune import State, Step
from tests.support.old_days import archived, days_ago, ingest, lines, run, stored
from tests.support.telemetry import rows

pytestmark = pytest.mark.django_db
INSERT = "INSERT INTO telemetry_telemetryevent (id, occurred_at, name) VALUES"


@pytest.fixture(autouse=True)
def archiving(settings: Any) -> None:
    settings.ORBIT_TELEMETRY_COLD_ARCHIVE_ENABLED = True


def parts(day: Any) -> list[str]:
    found = rows("SELECT part::text FROM telemetry_day_partitions() WHERE day = %s", day)
    return sorted(name for (name,) in found)


def test_a_day_is_archived_per_namespace_and_then_dropped() -> None:
    old = days_ago(40)
    ingest(old, 3)
    ingest(old, 5, namespace="eu", second=1)
    ingest(old, 7, namespace="us", second=2)
    assert prune.old_days() == [old]
    assert run(old) == []
    assert archived(old) == {None: 3, "eu": 5, "us": 7}
    assert (stored(old), prune.old_days()) == (0, [])
    assert [reading.verify(each).problem for each in reading.archives(old)] == ["", "", ""]
    assert ingest(old, 1) == [Outcome.TOO_OLD]
    assert partitions.ensure([old]) == 0


def test_young_days_stay_and_the_function_drops_none_of_them(settings: Any) -> None:
    settings.ORBIT_TELEMETRY_RETENTION_DAYS = 1
    for ago in (0, 1, 2):
        ingest(days_ago(ago), 1)
    assert prune.old_days() == [days_ago(2)]
    for ago in (-3, 0, 1):
        with (
            pytest.raises(DatabaseError, match="not over since two days"),
            transaction.atomic(using=database.ALIAS),
        ):
            prune.DROP_DAY.rows(day=days_ago(ago))
    public = "SELECT has_function_privilege('public', 'telemetry_drop_day(date)', 'EXECUTE')"
    assert rows(public) == [(False,)]
    settings.ORBIT_TELEMETRY_RETENTION_DAYS = 30
    assert prune.old_days() == []


def test_a_line_gives_back_each_column_exactly() -> None:
    old = days_ago(50)
    run_id = UUID(int=9)
    values = (
        f"'{run_id}', '{old} 23:59:59.999999Z', 'x\\\\ \"ü\U0001f600', 'eu', 'p', '{run_id}',"
        " E's\\t\\u2028\\\\N', 't\"', 'st', 'warning', 0.1::float8 + 0.2::float8,"
        ' \'{"a": null, "big": 1.000000000000000000000000001e400, "t": "\\\\n\\u00e9"}\','
        " '2026-01-02 03:04:05.6Z'"
    )
    partitions.ensure([old])
    rows(
        "INSERT INTO telemetry_telemetryevent (id, occurred_at, name, namespace, profile_id,"
        " run_id, session_id, task_id, stage, level, duration_ms, metadata, recorded_at)"
        f" VALUES ({values}), (gen_random_uuid(), '{old} 00:00Z', 'n', NULL, NULL, NULL, NULL,"
        " NULL, NULL, 'info', 'infinity', '[]', '2026-01-02 03:04:05.6Z') RETURNING 1"
    )
    columns = (
        "id, occurred_at, name, namespace, profile_id, run_id, session_id, task_id, stage, level,"
        " duration_ms::text, metadata::text"
    )
    before = rows(
        f"SELECT {columns} FROM telemetry_telemetryevent"
        f" WHERE occurred_at::date = '{old}' ORDER BY occurred_at"
    )
    run(old)
    with transaction.atomic(using=database.ALIAS):
        staging.prepare()
        for block in reading.day_blocks(old):
            reading.stage(block)
        assert rows(f"SELECT {columns} FROM telemetry_staging ORDER BY occurred_at") == before
    recorded_at = b',"recorded_at":"2026-01-02T03:04:05.600000Z"'
    assert [line.count(recorded_at) for line in lines(old)] == [1, 1]
    without = reading.without_recorded_at(b"\n".join(lines(old)) + b"\n").splitlines()
    assert without == [line.replace(recorded_at, b"") for line in lines(old)]


def test_a_large_day_is_archived_in_many_chunks_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "STEP_EVENTS", 70)
    old = days_ago(33)
    for second in range(3):
        ingest(old, 100, namespace="eu", second=second)
        ingest(old, 50, second=second)
    assert run(old) == []
    eu = next(each for each in reading.archives(old, "eu"))
    assert (archived(old), eu.chunks.count() > 4) == ({None: 150, "eu": 300}, True)
    of_eu = b"".join(reading.blocks(eu)).splitlines()
    keys = [(line[line.index(b"occurred_at") :][:50], line[7:43]) for line in of_eu]
    assert (len(set(keys)), keys) == (300, sorted(keys))


def test_without_archive_a_day_is_only_dropped(settings: Any) -> None:
    old = days_ago(31)
    ingest(old, 2)
    archive.begin(old)
    archive.fill(old)  # it was begun, and then archiving was switched off
    settings.ORBIT_TELEMETRY_COLD_ARCHIVE_ENABLED = False
    assert prune.step(old) == Step(State.DROPPED)
    assert (stored(old), archived(old), ingest(old, 1)) == (0, {}, [Outcome.TOO_OLD])


def test_events_in_the_default_partition_go_too() -> None:
    old = days_ago(61)
    rows(f"{INSERT} (gen_random_uuid(), '{old} 03:00Z', 'd') RETURNING 1")
    assert (parts(old), prune.old_days()) == ([], [old])
    assert (run(old), archived(old), prune.old_days()) == ([], {None: 1}, [])


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
def test_a_late_event_is_in_the_archive_whenever_it_comes(steps: int) -> None:
    old = days_ago(45)
    ingest(old, 4)
    for _ in range(steps):
        prune.step(old)
    assert ingest(old, 1, second=9) == [Outcome.ACCEPTED]
    assert TelemetryDay.objects.get(day=old).phase == "open"
    run(old)
    assert (archived(old), len(set(lines(old)))) == ({None: 5}, 5)


@pytest.mark.parametrize("change", ["DELETE", "UPDATE", "INSERT"])
def test_an_archive_that_differs_from_its_day_is_written_again(change: str) -> None:
    old = days_ago(45)
    ingest(old, 4)
    while TelemetryDay.objects.filter(day=old, phase="comparing").first() is None:
        prune.step(old)
    changed = {
        "DELETE": "DELETE FROM telemetry_telemetryevent WHERE metadata->>'n' = '2'",
        "UPDATE": "UPDATE telemetry_telemetryevent SET stage = 's' WHERE metadata->>'n' = '2'",
        # As many events as before.
        "INSERT": "WITH old AS (DELETE FROM telemetry_telemetryevent WHERE metadata->>'n' = '2')"
        f" {INSERT} (gen_random_uuid(), '{old} 12:00Z', 'new')",
    }
    rows(f"{changed[change]} RETURNING 1")
    (note,) = run(old)
    assert "it is archived again" in note
    assert archived(old) == {None: 3 if change == "DELETE" else 4}


DAMAGES = {
    "UPDATE telemetry_archivechunk SET data = set_byte(data, 40, 7) WHERE number = 0": "chunk 0",
    "DELETE FROM telemetry_archivechunk WHERE number = 1": "chunk 1 is missing",
    "DELETE FROM telemetry_archivechunk WHERE number = 2": "holds 20 events, not 25",
    "UPDATE telemetry_archivechunk SET data = substring(data FROM 1 FOR length(data) - 9)": (
        "can't be decompressed"
    ),
    "UPDATE telemetry_telemetryarchive SET event_count = 26": "holds 25 events, not 26",
    "UPDATE telemetry_telemetryarchive SET sha256 = repeat('0', 64)": "its SHA-256 differs",
    "UPDATE telemetry_telemetryarchive SET size = size + 1": "bytes, not",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_never_followed_by_a_drop(
    monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr(archive, "STEP_EVENTS", 10)
    old = days_ago(45)
    ingest(old, 25)
    while TelemetryDay.objects.filter(day=old, phase="archived").first() is None:
        prune.step(old)
    if "sha256" in damage:
        prune.step(old)  # read back once: the SHA-256 is there
    rows(f"{damage} RETURNING 1")
    # Verified a moment ago is good enough for a drop, so it is long ago here.
    rows("UPDATE telemetry_telemetryarchive SET verified_at = NULL RETURNING 1")
    (found,) = reading.archives(old)
    assert DAMAGES[damage] in reading.verify(found).problem
    step = prune.step(old)
    assert (step.state, DAMAGES[damage] in step.note, stored(old)) == (State.WORKING, True, 25)
    assert run(old) == []
    assert len(set(lines(old))) == 25


def test_a_dropped_day_that_holds_events_again_is_left_to_an_operator(settings: Any) -> None:
    old = days_ago(45)
    ingest(old, 2)
    run(old)
    rows(f"{INSERT} (gen_random_uuid(), '{old} 03:00Z', 'd') RETURNING 1")
    assert prune.step(old).state is State.REFUSED
    assert (stored(old), archived(old)) == (1, {None: 2})
    settings.ORBIT_TELEMETRY_COLD_ARCHIVE_ENABLED = False
    assert (prune.step(old).state, stored(old), len(lines(old))) == (State.DROPPED, 0, 2)


def test_readings_of_dropped_days_go_and_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "STEP_READINGS", 2)
    old, young = days_ago(40), days_ago(1)
    ingest(old, 1)
    for day in (old, young):
        for number in range(3):
            at = f"{day} 12:00:0{number}Z"
            Artifact.objects.create(
                event_id=UUID(int=number), occurred_at=at, path_name="p", size=1
            )
            ErrorGroup.objects.create(
                day=day, message=str(number), message_sha256=str(number), count=1,
                first_seen=at, last_seen=at, sample={},
            )  # fmt: skip
    assert prune.prune_readings() == 0  # the day is still there
    run(old)
    deleted = [prune.prune_readings() for _ in range(3)]
    assert deleted == [4, 2, 0]
    assert {artifact.occurred_at.date() for artifact in Artifact.objects.all()} == {young}
    assert set(ErrorGroup.objects.values_list("day", flat=True)) == {young}


def test_a_day_that_is_not_archived_yet_takes_events_and_partitions_on_demand() -> None:
    old = days_ago(390)
    assert days.share([old]) == set()
    assert partitions.ensure([old, old]) == 1
    assert parts(old) == [f"telemetry_telemetryevent_p{old:%Y%m%d}"]
    assert batch.store([]) == []
