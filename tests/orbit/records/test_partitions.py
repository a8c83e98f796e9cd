"""Partitions are made beside writers. Rows without one go to the DEFAULT, and nothing stops."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import ProgrammingError, connection, transaction
from django.db.models.functions import Now

from governance.access.actors import SYSTEM
from orbit.cycles import cancel, finish, lease
from orbit.dispatch import dead_letters
from orbit.models import CycleRun, DispatchJob
from orbit.records import execution, partitions
from orbit.records.execution import Record
from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server
from tests.support import dispatch
from tests.support.dead_letters import create_dead_letters
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_cycle,
    run_due,
    start_cycle,
)
from tests.support.polling import until
from tests.support.receiver import OK, Receiver

TABLES = ("telemetry_telemetryevent", "orbit_cyclecheckpoint", "orbit_recordgroup")
NAMED = {
    "telemetry_telemetryevent": "YYYYMMDD",
    "orbit_cyclecheckpoint": "YYYYMM",
    "orbit_recordgroup": "YYYYMM",
}
#: What a writer may wait for maintenance on a busy machine. It waits for a lock 50 ms at most.
LONGEST_WAIT_SECONDS = 10.0


@pytest.fixture
def owner(server: Server, committed: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection as the owner of the tables."""
    with psycopg.connect(server.url(SUPERUSER, committed), autocommit=True) as session:
        yield session


def partition_of_now(table: str) -> str:
    ((name,),) = rows("SELECT to_char(now() AT TIME ZONE 'UTC', %s)", NAMED[table])
    return f"{table}_p{name}"


def drop_partitions_of_now(owner: psycopg.Connection[Any], *tables: str) -> None:
    """Leave the database as a jump of its clock does."""
    for table in tables:
        owner.execute(f"DROP TABLE {partition_of_now(table)}")


def drop_default_partitions(owner: psycopg.Connection[Any], *tables: str) -> None:
    for table in tables:
        owner.execute(f"DROP TABLE {table}_default")


def write_events(moments: list[str]) -> None:
    for moment in moments:
        rows(
            "INSERT INTO telemetry_telemetryevent (id, occurred_at, name)"
            " VALUES (gen_random_uuid(), %s, 'e') RETURNING 1",
            moment,
        )


@contextmanager
def held(server: Server, database: str, *tables: str) -> Iterator[None]:
    """Hold tables and all their partitions as a dump does."""
    with psycopg.connect(server.url("orbit_owner", database)) as dump:
        for table in tables:
            dump.execute(f"LOCK TABLE {table} IN ACCESS SHARE MODE")
        yield


def placed(table: str) -> list[tuple[str, int]]:
    """Return how many rows are in each partition that has some."""
    return rows(f"SELECT tableoid::regclass::text, count(*) FROM {table} GROUP BY 1 ORDER BY 1")


def test_rows_in_a_default_move_to_partitions_of_their_own(owner: psycopg.Connection[Any]) -> None:
    write_events(["2019-02-03 04:05Z", "2019-02-03 23:00Z", "2051-06-07 00:00Z"])
    owner.execute(
        "INSERT INTO orbit_cyclecheckpoint (cycle_id, stage, fencing_token)"
        " VALUES (orbit_uuid_floor('1970-01-01 00:01Z'), 'cycle_started', 1),"
        " (orbit_uuid_floor('2049-12-31 23:59Z'), 'cycle_started', 1)"
    )
    assert {state.table for state in partitions.states() if state.default_used} == set(TABLES[:2])
    assert partitions.ensure() == 4
    assert placed("telemetry_telemetryevent") == [
        ("telemetry_telemetryevent_p20190203", 2),
        ("telemetry_telemetryevent_p20510607", 1),
    ]
    assert placed("orbit_cyclecheckpoint") == [
        ("orbit_cyclecheckpoint_p197001", 1),
        ("orbit_cyclecheckpoint_p204912", 1),
    ]
    assert (partitions.ensure(), partitions.problems()) == (0, [])


def test_a_default_and_what_leaves_it_stay_append_only(owner: psycopg.Connection[Any]) -> None:
    owner.execute(
        "INSERT INTO orbit_cyclecheckpoint (cycle_id, stage, fencing_token)"
        " VALUES (orbit_uuid_floor('2049-12-31 23:59Z'), 'cycle_started', 1)"
    )
    before = "orbit_cyclecheckpoint_default"
    for table in (before, "orbit_cyclecheckpoint_p204912"):
        for change in (f"DELETE FROM {table}", f"UPDATE {table} SET stage = stage"):
            owner.execute("SET session_replication_role = replica")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                owner.execute(change)
        for name in (table, before):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                owner.execute(f"TRUNCATE {name}")
        partitions.ensure()


def test_one_broken_table_keeps_no_other_without_partitions(
    owner: psycopg.Connection[Any],
) -> None:
    events, record = partition_of_now(TABLES[0]), partition_of_now(TABLES[2])
    owner.execute(f"ALTER TABLE {TABLES[0]} DETACH PARTITION {events}")
    drop_partitions_of_now(owner, TABLES[2])
    write_events(["2019-02-03Z", "now"])
    reports: list[str] = []
    with pytest.raises(ProgrammingError, match="already exists"):
        partitions.ensure(lambda what, error: reports.append(what))
    assert reports == ["a partition of telemetry can't be made"]
    assert rows("SELECT to_regclass(%s) IS NOT NULL", record) == [(True,)]
    assert placed(TABLES[0]) == [
        ("telemetry_telemetryevent_default", 1),
        ("telemetry_telemetryevent_p20190203", 1),
    ]


def test_many_rows_leave_a_default_in_slices(owner: psycopg.Connection[Any]) -> None:
    write_events([f"2019-02-03 04:05:{second:02}Z" for second in range(10)])
    make = (
        "SELECT telemetry_make_partition('telemetry_telemetryevent', 'telemetry_telemetryevent_p2',"
        " '2019-02-03Z', '2019-02-04Z', 4)"
    )
    made = [owner.execute(make).fetchone() for _ in range(4)]
    assert made == [(1,), (1,), (1,), (0,)]
    write_events(["2019-02-03 00:00Z", "2019-02-03 04:05:04.5Z", "2019-02-03 23:59:59Z"])
    assert placed("telemetry_telemetryevent") == [
        ("telemetry_telemetryevent_p2", 5),
        ("telemetry_telemetryevent_p2_2", 5),
        ("telemetry_telemetryevent_p2_3", 3),
    ]


def test_rows_with_one_key_leave_a_default_together(owner: psycopg.Connection[Any]) -> None:
    for key, number in (("01", 5), ("02", 1)):
        for _ in range(number):
            owner.execute(
                "INSERT INTO orbit_executionrecord"
                " (id, partition_key, cycle_id, stage, event) SELECT gen_random_uuid(), k, k, 's',"
                " 'e' FROM (SELECT orbit_uuid_floor(%s::timestamptz) AS k) AS key",
                [f"2019-02-{key} 00:00Z"],
            )
    make = (
        "SELECT orbit_make_partition('orbit_recordgroup', 'orbit_recordgroup_p2',"
        " orbit_uuid_floor('2019-02-01Z')::text, orbit_uuid_floor('2019-03-01Z')::text, 2)"
    )
    assert [owner.execute(make).fetchone() for _ in range(3)] == [(1,), (1,), (0,)]
    assert placed("orbit_recordgroup") == [
        ("orbit_recordgroup_p2", 5),
        ("orbit_recordgroup_p2_2", 1),
    ]


def test_nobody_waits_for_partitions_that_are_due_during_a_dump(
    server: Server, committed: str, owner: psycopg.Connection[Any]
) -> None:
    drop_partitions_of_now(owner, *TABLES)
    waits: list[float] = []
    ended = threading.Event()

    def work() -> None:
        try:
            while not ended.is_set():
                began = time.monotonic()
                execution.write(Record("cycle", "started"), namespace=None)
                write_events(["now"])
                # A plan without pruning: it locks every partition.
                rows("SELECT count(*) FROM orbit_executionrecord")
                waits.append(time.monotonic() - began)
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    with held(server, committed, *TABLES):
        worker.start()
        attempts = [partitions.ensure() for _ in range(20)]
        until(lambda: len(waits) > 20, "the writer stands still")
        ended.set()
        worker.join()
    assert attempts == [0] * 20
    assert max(waits) < LONGEST_WAIT_SECONDS
    used = {state.table: state.default_used for state in partitions.states()}
    assert used == dict(zip(TABLES, (True, False, True), strict=True))
    assert partitions.ensure() == 3
    assert partitions.problems() == []


@contextmanager
def given_away(server: Server, database: str, *tables: str) -> Iterator[None]:
    """Give the range of now away while the first writer waits for the DEFAULT partition."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation::regclass::text = %s"

    def make() -> None:
        with psycopg.connect(server.url("orbit_owner", database)) as maker:
            for app in ("telemetry", "orbit"):
                maker.execute(f"SELECT {app}_ensure_partitions(now()::date, now()::date)")
            held.set()
            with psycopg.connect(server.url("orbit_app", database), autocommit=True) as watcher:
                names = [f"{table}_default" for table in tables]
                until(
                    lambda: any(
                        watcher.execute(waiting, [name]).fetchone() == (1,) for name in names
                    ),
                    "the writer doesn't wait",
                )

    held = threading.Event()
    thread = threading.Thread(target=make)
    thread.start()
    held.wait(60)
    yield
    thread.join()


@pytest.mark.parametrize("writer", ["record", "in a transaction", "requeue", "dismiss"])
def test_a_record_that_waits_for_the_making_of_its_partition_is_kept(
    server: Server,
    committed: str,
    settings: Any,
    owner: psycopg.Connection[Any],
    writer: str,
) -> None:
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:1/")
    (letter,) = create_dead_letters(1)
    drop_partitions_of_now(owner, "orbit_recordgroup")
    # Routed once, it is routed the same way again without a look at the catalog.
    execution.write(Record("cycle", "before"), namespace=None)
    before = len(rows("SELECT id FROM orbit_executionrecord"))
    with given_away(server, committed, "orbit_recordgroup"):
        match writer:
            case "record":
                execution.write(Record("cycle", "raced"), namespace=None)
            case "in a transaction":
                with transaction.atomic():
                    execution.write(Record("cycle", "raced"), namespace=None)
            case "requeue":
                dead_letters.requeue(letter, actor=SYSTEM, reason="r")
            case "dismiss":
                dead_letters.dismiss(letter, actor=SYSTEM, reason="r")
    assert len(rows("SELECT id FROM orbit_executionrecord")) == before + 1


def test_what_a_cycle_writes_while_its_partitions_are_made_is_kept(
    server: Server, committed: str, settings: Any, owner: psycopg.Connection[Any]
) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
        quiet = run_cycle(start_cycle("r1"))
        drop_partitions_of_now(owner, "telemetry_telemetryevent")
        write_events(["now"])
        cycle_id = start_cycle("r2")
        with given_away(server, committed, "telemetry_telemetryevent"):
            raced = run_cycle(cycle_id)
    assert (quiet.status, raced.status) == ("success", "success")
    ((events,),) = rows("SELECT count(*) FROM telemetry_telemetryevent WHERE run_id = %s", cycle_id)
    assert events == 12


def test_a_partition_is_made_beside_a_dump_if_there_is_no_default(
    server: Server, committed: str, owner: psycopg.Connection[Any]
) -> None:
    drop_partitions_of_now(owner, *TABLES)
    drop_default_partitions(owner, *TABLES)
    with held(server, committed, *TABLES):
        assert partitions.ensure() == 3
        execution.write(Record("cycle", "started"), namespace=None)
    assert placed("orbit_recordgroup") == [(partition_of_now("orbit_recordgroup"), 1)]


def test_a_cycle_runs_while_no_partition_is_there(
    settings: Any, owner: psycopg.Connection[Any]
) -> None:
    drop_partitions_of_now(owner, *TABLES)
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle = run_cycle(start_cycle())
    assert (cycle.status, cycle.resumes) == ("success", 0)
    assert {state.default_used for state in partitions.states()} == {True}
    partitions.ensure()
    assert placed("orbit_cyclecheckpoint") == [(partition_of_now("orbit_cyclecheckpoint"), 9)]


def test_a_cycle_without_partition_and_default_waits_and_is_not_parked(
    settings: Any, owner: psycopg.Connection[Any]
) -> None:
    drop_partitions_of_now(owner, *TABLES)
    drop_default_partitions(owner, *TABLES)
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        for _ in range(6):
            CycleRun.objects.filter(pk=cycle_id).update(next_due_at=Now())
            run_due(seconds=0.2)
        waiting = CycleRun.objects.get(pk=cycle_id)
        assert (waiting.status, waiting.resumes, waiting.lease_owner) == ("running", 0, None)
        assert partitions.ensure() == 3
        assert run_cycle(cycle_id).status == "success"


def test_a_cycle_is_cancelled_although_no_record_can_be_written(
    owner: psycopg.Connection[Any],
) -> None:
    configure_profiles()
    cycle_id = start_cycle()
    drop_partitions_of_now(owner, "orbit_recordgroup")
    drop_default_partitions(owner, "orbit_recordgroup")
    cancel.cancel(cycle_id, actor=SYSTEM, reason="enough")
    assert CycleRun.objects.get(pk=cycle_id).status == "cancelled"
    assert rows("SELECT action FROM governance_audittrailentry WHERE action LIKE 'cycle.c%%'")
    assert start_cycle() != cycle_id


@pytest.mark.parametrize("end", ["cancel", "give_up"])
def test_a_requeued_job_becomes_a_dead_letter_although_no_record_can_be_written(
    settings: Any, owner: psycopg.Connection[Any], end: str
) -> None:
    settings.ORBIT_MAX_DISPATCH_RETRIES = 0
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:1/")
    configure_profiles()
    cycle_id = start_cycle()
    (claimed,) = lease.claim(1)
    dispatch.enqueue_deliveries(claimed)
    job = DispatchJob.objects.order_by("id")[0]
    # As after a requeue while the cycle runs.
    first = DispatchJob.objects.order_by("-id")[0]
    DispatchJob.objects.filter(pk=job.pk).update(requeue_of=first)
    owner.execute(
        "INSERT INTO orbit_deadletterdispatch (id, job_id, cycle_id, namespace, endpoint_key,"
        " status, reason, last_error, attempts, first_failed_at, last_failed_at, requeued_job_id,"
        " resolved_at) SELECT gen_random_uuid(), requeue_of_id, cycle_id, 'default', endpoint_key,"
        " 'requeued', 'x', '', 1, now(), now(), id, now() FROM orbit_dispatchjob WHERE id = %s",
        [job.pk],
    )
    drop_partitions_of_now(owner, "orbit_recordgroup")
    drop_default_partitions(owner, "orbit_recordgroup")
    if end == "cancel":
        cancel.cancel(cycle_id, actor=SYSTEM, reason="enough")
    else:
        finish.give_up(claimed, reason="error", message="m")
    assert CycleRun.objects.get(pk=cycle_id).status in {"cancelled", "failed"}
    assert rows("SELECT count(*) FROM orbit_deadletterdispatch WHERE job_id = %s", job.pk) == [(1,)]


def test_events_that_cannot_be_written_stop_nothing(
    settings: Any, owner: psycopg.Connection[Any]
) -> None:
    owner.execute("ALTER TABLE telemetry_telemetryevent ADD CONSTRAINT none CHECK (name = '')")
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle = run_cycle(start_cycle())
    assert (cycle.status, rows("SELECT count(*) FROM telemetry_telemetryevent")) == (
        "success",
        [(0,)],
    )
    assert rows("SELECT count(*) FROM orbit_cyclecheckpoint") == [(9,)]


@pytest.mark.parametrize("table", TABLES[1:])
def test_a_cycle_ends_although_its_end_cannot_be_recorded(
    settings: Any, owner: psycopg.Connection[Any], table: str
) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        ends = {
            "orbit_cyclecheckpoint": "stage = 'cycle_finished'",
            "orbit_recordgroup": "records::text ~ 'cycle_finished'",
        }
        owner.execute(f"ALTER TABLE {table} ADD CONSTRAINT no_end CHECK (NOT ({ends[table]}))")
        cycle = run_cycle(start_cycle())
        assert (cycle.status, len(receiver.requests)) == ("success", 3)
    assert rows(f"SELECT count(*) FROM {table} WHERE {ends[table]}") == [(0,)]
