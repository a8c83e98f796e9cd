"""Records that one statement writes together are one row. The view reads each of them."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction

from governance.kernel.identifiers import uuid7, uuid7_floor, uuid7_text
from orbit.models import ExecutionRecord
from orbit.records import execution, writer
from orbit.records.execution import MOST_IN_GROUP, Record
from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_cycle,
    start_cycle,
)
from tests.support.receiver import OK, Receiver
from tests.support.shared_writes import claim, together

START = [
    "cycle_started",
    "stage_started",
    "initiation_created",
    "stage_finished",
    "stage_started",
    *["tier_attempt", "tier_succeeded"] * 3,
    "stage_finished",
    "stage_started",
    "batch_created",
    *["item_created"] * 3,
    "stage_finished",
    "stage_started",
    *["job_enqueued"] * 3,
]


def write(records: Sequence[Record]) -> UUID:
    """Write records of a new cycle together; return its id."""
    cycle_id = uuid7()
    execution.write_all([(record, "a", cycle_id) for record in records])
    return cycle_id


def stored(cycle_id: UUID) -> list[int]:
    """Return how many records each row of a cycle has."""
    query = (
        "SELECT coalesce(jsonb_array_length(records), 1) FROM orbit_recordgroup"
        " WHERE partition_key = %s ORDER BY id"
    )
    return [number for (number,) in rows(query, cycle_id)]


def read(cycle_id: UUID) -> list[ExecutionRecord]:
    return list(ExecutionRecord.objects.filter(partition_key=cycle_id).order_by("id"))


def events(cycle_id: UUID) -> list[str]:
    return [record.event for record in read(cycle_id)]


@pytest.mark.django_db
def test_a_group_reads_as_records_of_their_own() -> None:
    made = [
        Record("cycle", "bare"),
        Record("cycle", "with data", data={"a": [1]}),
        Record("cycle", "with both", "said\x00", data={"b": None}),
        Record("cycle", "with a message", "x" * 5000),
    ]
    cycle_id = write(made)
    assert stored(cycle_id) == [4]
    records = read(cycle_id)
    assert [(each.stage, each.event, each.message, each.data) for each in records] == [
        ("cycle", "bare", "", {}),
        ("cycle", "with data", "", {"a": [1]}),
        ("cycle", "with both", "said\ufffd", {"b": None}),
        ("cycle", "with a message", "x" * 2000, {}),
    ]
    assert {(each.cycle_id, each.level, each.namespace) for each in records} == {
        (cycle_id, "info", "a")
    }
    assert {each.id.version for each in records} == {7}


@pytest.mark.django_db
def test_a_group_has_one_level_and_the_order_stays() -> None:
    levels = ["info", "info", "warning", "info", "error", "error", "info"]
    cycle_id = write([Record("cycle", f"e{n}", level=level) for n, level in enumerate(levels)])
    assert stored(cycle_id) == [2, 1, 1, 2, 1]
    records = read(cycle_id)
    assert [(each.event, each.level) for each in records] == [
        (f"e{n}", level) for n, level in enumerate(levels)
    ]
    noted = ExecutionRecord.objects.filter(level="error").order_by("-partition_key", "-id")
    assert [each.event for each in noted] == ["e5", "e4"]


@pytest.mark.django_db
def test_a_group_is_bounded() -> None:
    names = [f"e{number:03}" for number in range(2 * MOST_IN_GROUP + 2)]
    cycle_id = write([Record("cycle", name) for name in names])
    assert stored(cycle_id) == [MOST_IN_GROUP, MOST_IN_GROUP, 2]
    assert events(cycle_id) == names
    assert len({each.id for each in read(cycle_id)}) == len(names)


@pytest.mark.django_db
def test_a_record_with_an_id_is_there_once_among_groups() -> None:
    own = uuid7_text()
    made = [Record("cycle", "a"), Record("cycle", "b"), Record("cycle", "own", id=own)]
    cycle_id = write(made)
    execution.write(made[2], namespace="a", cycle_id=cycle_id)
    assert stored(cycle_id) == [1, 2]  # its id is older
    assert Counter(events(cycle_id)) == {"a": 1, "b": 1, "own": 1}
    assert ExecutionRecord.objects.get(id=UUID(own)).event == "own"


@pytest.mark.django_db
def test_records_without_a_cycle_and_of_several_are_no_group() -> None:
    first, second = uuid7(), uuid7()
    cycles = [None, None, first, first, second, second]
    execution.write_all([(Record("cycle", "e"), "a", cycle) for cycle in cycles])
    assert (stored(first), stored(second)) == ([2], [2])
    alone = "SELECT partition_key = id FROM orbit_executionrecord WHERE cycle_id IS NULL"
    assert rows(alone) == [(True,), (True,)]


def test_a_cycle_has_two_rows_of_records_in_the_order_of_its_work(
    settings: Any, committed: str
) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        first, second = [run_cycle(start_cycle()) for _ in range(2)]
    assert stored(first.pk) == [len(START), 5]
    end = [*["delivery_attempt"] * 3, "stage_finished", "cycle_finished"]
    assert events(first.pk) == [*START, *end]
    # The same context.
    reused = ["initiation_reused" if name == "initiation_created" else name for name in START]
    assert events(second.pk) == [*reused, *end]
    made, known = [
        ExecutionRecord.objects.get(event=event)
        for event in ("initiation_created", "initiation_reused")
    ]
    assert (made.message, known.message) == ("a new context", "the context is known")
    assert made.data == known.data
    [(initiation,)] = rows("SELECT id::text FROM orbit_initiation")
    assert made.data["initiation_id"] == initiation


def test_cycles_that_share_a_statement_have_groups_of_their_own(
    settings: Any, committed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    cycles = claim(settings, 4)
    with together(cycles) as ends:
        assert [end.exception() for end in ends] == [None] * 4
    assert rows("SELECT count(DISTINCT xmin::text), count(*) FROM orbit_recordgroup") == [(1, 4)]
    assert [events(cycle.id) for cycle in cycles] == [START] * 4


def test_each_cycle_of_a_statement_says_whether_its_own_context_is_known(
    settings: Any, committed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    cycles = claim(settings, 4)
    for cycle in cycles[::2]:
        rows(
            "INSERT INTO orbit_initiation (id, initiation_hash, namespace)"
            " VALUES (gen_random_uuid(), %s, %s) RETURNING 1",
            cycle.initiation_hash,
            cycle.namespace,
        )
    with together(cycles) as ends:
        assert [end.exception() for end in ends] == [None] * 4
    assert rows("SELECT count(DISTINCT xmin::text) FROM orbit_recordgroup") == [(1,)]
    third = [read(cycle.id)[2] for cycle in cycles]
    assert [record.event for record in third] == ["initiation_reused", "initiation_created"] * 2
    for cycle, record in zip(cycles, third, strict=True):
        assert rows(
            "SELECT id::text FROM orbit_initiation WHERE initiation_hash = %s",
            cycle.initiation_hash,
        ) == [(record.data["initiation_id"],)]


@pytest.mark.django_db
@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(days=-40), timedelta(days=40)])
def test_the_key_of_a_record_is_found_whatever_its_clock_said(ahead: timedelta) -> None:
    cycle_id = write([Record("cycle", "a"), Record("cycle", "b")])
    other = uuid7()
    single = UUID(int=uuid7_floor(datetime.now(UTC) + ahead).int | 7 << 76 | 2 << 62 | 5)
    record = Record("cycle", "c", "", "warning", id=str(single))
    execution.write(record, namespace="a", cycle_id=cycle_id)
    of_group = [record.pk for record in read(cycle_id) if record.level == "info"]
    assert len(of_group) == 2
    assert [execution.keys_of(str(each)) for each in (*of_group, single)] == [[cycle_id]] * 3
    assert execution.keys_of(str(other)) == execution.keys_of("none") == []
    assert execution.keys_of("f" * 32) == []


# As a release writes them that knows no groups.
_OLD_RECORDS = """
    INSERT INTO orbit_executionrecord (
        id, partition_key, cycle_id, stage, event, level, namespace, message, data)
    SELECT x.id, coalesce(x.cycle_id, x.id), x.cycle_id, x.stage, x.event, x.level, x.namespace,
        x.message, x.data
    FROM jsonb_to_recordset(%(records)s::jsonb) AS x(
        id uuid, cycle_id uuid, stage text, event text, level text, namespace text, message text,
        data jsonb)
"""
_OLD_FENCED = f"WITH locked AS (SELECT 1), records AS ({_OLD_RECORDS}) SELECT * FROM locked"
_OLD_ALONE = f"{_OLD_RECORDS} ON CONFLICT DO NOTHING"
_OLD_SHORT = """WITH made AS (
    INSERT INTO orbit_executionrecord (id, partition_key, cycle_id, stage, event, namespace)
    SELECT gen_random_uuid(), %(cycle)s, %(cycle)s, 'initiation', 'initiation_reused', 'a'
) SELECT 1"""


@pytest.mark.django_db
def test_an_old_release_writes_beside_groups() -> None:
    cycle_id = write([Record("cycle", "a"), Record("cycle", "b")])
    about = {"cycle_id": str(cycle_id), "stage": "cycle", "level": "warning", "namespace": "a"}
    for statement, event in ((_OLD_FENCED, "fenced write"), (_OLD_ALONE, "other write")):
        text = json.dumps(
            [{**about, "id": str(uuid7()), "event": event, "message": "m", "data": {"k": 1}}]
        )
        with connection.cursor() as cursor:
            cursor.execute(statement, {"records": text})
    with connection.cursor() as cursor:
        cursor.execute(_OLD_ALONE, {"records": text})  # it is there already
        cursor.execute(_OLD_SHORT, {"cycle": cycle_id})
    assert Counter(events(cycle_id)) == Counter(
        ["a", "b", "fenced write", "other write", "initiation_reused"]
    )
    assert [
        (each.level, each.message, each.data)
        for each in read(cycle_id)
        if each.event in ("fenced write", "initiation_reused")
    ] == [("warning", "m", {"k": 1}), ("info", "", {})]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("columns", "values"),
    [
        ("records, stage, event, message, data", "'[[\"s\", \"e\"]]', 's', 'e', '', '{}'"),
        ("stage, event, message", "'s', 'e', ''"),
        ("namespace", "'a'"),
        ("records", "'[]'"),
        ("records", '\'{"0": ["s", "e"]}\''),
        ("records", "'\"s\"'"),
    ],
)
def test_a_row_is_one_record_or_a_group(columns: str, values: str) -> None:
    with pytest.raises(IntegrityError, match="record_or_group"), transaction.atomic():
        rows(
            f"INSERT INTO orbit_recordgroup (id, partition_key, cycle_id, {columns})"
            f" SELECT id, id, id, {values} FROM orbit_uuid_floor(now()) AS id RETURNING 1"
        )


def test_the_view_refuses_changes_of_everyone(server: Server, committed: str) -> None:
    cycle_id = write([Record("cycle", "a"), Record("cycle", "b")])
    changes = (
        "UPDATE orbit_executionrecord SET message = 'x'",
        "DELETE FROM orbit_executionrecord WHERE event = 'a'",
    )
    for role in ("orbit_app", "orbit_owner", SUPERUSER):
        with psycopg.connect(server.url(role, committed), autocommit=True) as session:
            for change in changes:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    session.execute(change)
    with psycopg.connect(server.url(SUPERUSER, committed), autocommit=True) as session:
        session.execute("SET session_replication_role = replica")  # the view's triggers are off
        for change in changes:
            session.execute(change)
    assert events(cycle_id) == ["a", "b"]
