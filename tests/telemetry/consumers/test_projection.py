"""The projection of a task follows from its events, in whatever order and batches they come."""

import itertools
import random
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connections, transaction

from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server
from telemetry import database
from telemetry.consumers import projection
from telemetry.events import Row
from tests.support.task_events import at, event, rows, snapshot, store, task, task_event


@pytest.mark.django_db(databases="__all__")
def test_a_task_runs_after_its_start_and_ends_with_its_success() -> None:
    metadata = {"title": "Load", "priority": 3, "tags": ["a", "b"]}
    store(task_event("task_start", 1, metadata=metadata, namespace="eu"))
    row = task()
    assert (row.status, row.title, row.priority, row.tags_json) == (
        "running",
        "Load",
        3,
        ["a", "b"],
    )
    assert (row.namespace, row.last_status_ts, row.last_event_ts) == ("eu", at(1), at(1))
    store(task_event("task_end", 2, metadata={"success": True}))
    row = task()
    assert (row.status, row.title, row.last_status_ts) == ("succeeded", "Load", at(2))
    store(task_event("task_start", 3), task_event("task_end", 4, metadata={"success": False}))
    assert (task().status, task().title, task().last_event_ts) == ("failed", None, at(4))


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize("status", ["pending", "running", "succeeded", "failed", "cancelled"])
def test_a_decision_with_a_status_changes_it(status: str) -> None:
    store(task_event("task_start", 1), task_event("decision", 2, metadata={"status": status}))
    assert (task().status, task().last_status_ts) == (status, at(2))


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize("metadata", [{}, {"status": "orphaned"}, {"status": "RUNNING"}])
def test_a_decision_without_a_valid_status_only_moves_the_last_event(metadata: Any) -> None:
    store(task_event("task_start", 1), task_event("decision", 2, metadata=metadata))
    assert (task().status, task().last_status_ts, task().last_event_ts) == ("running", at(1), at(2))


@pytest.mark.django_db(databases="__all__")
def test_a_task_of_which_only_decisions_came_is_pending() -> None:
    store(task_event("decision", 2))
    store(task_event("decision", 1))
    assert (task().status, task().last_status_ts, task().last_event_ts) == ("pending", at(1), at(2))
    store(task_event("task_start", 0))
    assert (task().status, task().last_status_ts, task().last_event_ts) == ("running", at(0), at(2))


@pytest.mark.django_db(databases="__all__")
def test_late_events_never_take_a_task_back() -> None:
    store(task_event("task_end", 10, metadata={"success": True}))
    store(task_event("task_start", 1, metadata={"title": "Load"}))
    store(task_event("decision", 5, metadata={"status": "cancelled"}))
    row = task()
    assert (row.status, row.title, row.last_event_ts) == ("succeeded", "Load", at(10))


@pytest.mark.django_db(databases="__all__")
def test_events_of_other_names_or_without_a_task_are_not_projected() -> None:
    store(task_event("error", 1), event("task_start", 1), event("task_start", 1, task_id=""))
    assert rows("SELECT count(*) FROM telemetry_taskprojection") == [(0,)]


@pytest.mark.django_db(databases="__all__")
def test_another_namespace_does_not_touch_a_task() -> None:
    store(task_event("task_start", 1, namespace="eu"))
    store(task_event("decision", 2, namespace="us", metadata={"status": "cancelled"}))
    assert (task().namespace, task().status, task().last_event_ts) == ("eu", "running", at(1))
    # An event without a namespace counts, also beside one of another.
    store(
        task_event("decision", 4, namespace="us", metadata={"status": "cancelled"}),
        task_event("task_end", 3, metadata={"success": True}),
    )
    assert (task().status, task().last_event_ts) == ("succeeded", at(3))


@pytest.mark.django_db(databases="__all__")
def test_a_task_without_a_namespace_gets_that_of_the_first_event_that_has_one() -> None:
    store(task_event("task_start", 5))
    store(task_event("decision", 4, namespace="eu"))
    store(task_event("decision", 1, namespace="us"))
    assert (task().namespace, task().status) == ("eu", "running")


SAME_TIME = [
    task_event("task_start", 1, 9, metadata={"title": "nine"}),
    task_event("task_start", 1, 8, metadata={"title": "eight"}),
    task_event("task_end", 1, 7, metadata={"success": True}),
    task_event("task_end", 1, 6, metadata={"success": False}),
    task_event("decision", 1, 5, metadata={"status": "cancelled"}),
]


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize(("count", "status"), [(2, "running"), (4, "succeeded"), (5, "cancelled")])
def test_of_equal_times_the_rank_and_then_the_id_counts(count: int, status: str) -> None:
    results = set()
    for order in itertools.islice(itertools.permutations(SAME_TIME[:count]), 0, 120, 7):
        with projection.updating():
            rows("DELETE FROM telemetry_taskprojection")
        rows("DELETE FROM telemetry_telemetryevent")
        for each in order:
            store(each)
        results.add((task().status, task().title))
    assert results == {(status, "nine")}


def scrambled(seed: int) -> list[Row]:
    """Return events of a few tasks, many at equal times."""
    r = random.Random(seed)
    return [
        task_event(
            r.choice(["task_start", "task_end", "decision"]),
            r.randrange(6),
            number + 1,
            task_id=f"t{r.randrange(3)}",
            metadata={
                "title": f"T{number}",
                "priority": r.randrange(9),
                "success": r.random() < 0.5,
                **({"status": r.choice(["pending", "cancelled"])} if r.random() < 0.5 else {}),
            },
        )
        for number in range(30)
    ]


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize("seed", range(4))
def test_neither_order_nor_batches_change_the_result(seed: int) -> None:
    r = random.Random(seed)
    events = scrambled(seed)
    results = []
    for _ in range(4):
        with transaction.atomic(using=database.ALIAS):
            rest = r.sample(events, len(events))
            while rest:
                cut = r.randrange(1, 12)
                store(*rest[:cut], *r.sample(events, 2))  # some come twice
                rest = rest[cut:]
            results.append(snapshot()["telemetry_taskprojection"])
            transaction.set_rollback(True, using=database.ALIAS)
    assert all(result == results[0] for result in results)
    assert len(results[0]) == 3


WRITES = [
    "INSERT INTO telemetry_taskprojection (task_id, status, last_status_ts, last_event_ts,"
    " updated_utc) VALUES ('x', 'running', now(), now(), now())",
    "UPDATE telemetry_taskprojection SET status = 'failed'",
    "DELETE FROM telemetry_taskprojection",
    "TRUNCATE telemetry_taskprojection",
]


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.split()[0])
def test_direct_writes_are_refused(committed: str, server: Server, write: str) -> None:
    store(task_event("task_start", 1))
    options = database.connection().settings_dict
    for role in {str(options["USER"]), "orbit_owner"}:
        url = server.url(role, str(options["NAME"]))
        with psycopg.connect(url, autocommit=True) as direct:
            with pytest.raises(psycopg.errors.InsufficientPrivilege) as refused:
                direct.execute(write)
            # The application has no right to truncate at all.
            lacks_right = role == "orbit_app" and write.startswith("TRUNCATE")
            assert lacks_right or "read model" in str(refused.value)
    assert task().status == "running"
    connections.close_all()


def test_a_session_without_triggers_is_refused_too(committed: str, server: Server) -> None:
    store(task_event("task_start", 1))
    name = str(database.connection().settings_dict["NAME"])
    with psycopg.connect(server.url(SUPERUSER, name), autocommit=True) as direct:
        direct.execute("SET session_replication_role = replica")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="read model"):
            direct.execute(WRITES[1])
    connections.close_all()


@pytest.mark.django_db(databases="__all__")
def test_the_rest_of_a_transaction_that_stored_events_may_not_write() -> None:
    with transaction.atomic(using=database.ALIAS):
        store(task_event("task_start", 1))
        with pytest.raises(DatabaseError, match="read model"), transaction.atomic(database.ALIAS):
            rows(WRITES[1])
        with projection.updating():
            rows(WRITES[1])
        with pytest.raises(DatabaseError, match="read model"), transaction.atomic(database.ALIAS):
            rows(WRITES[2])
    assert task().status == "failed"


@pytest.mark.django_db(databases="__all__")
def test_an_orphan_gets_the_status_of_a_later_event_and_stays_counted() -> None:
    store(task_event("task_start", 1))
    with projection.updating():
        rows("UPDATE telemetry_taskprojection SET status = 'orphaned', orphaned_at = now()")
    store(task_event("task_start", 0), task_event("decision", 2))
    assert task().status == "orphaned"
    store(task_event("task_end", 3, metadata={"success": True}))
    assert (task().status, task().orphaned_at is not None) == ("succeeded", True)


@pytest.mark.django_db(databases="__all__")
def test_a_correction_from_the_authority_outranks_events_of_its_time() -> None:
    store(task_event("task_start", 1))
    with projection.updating():
        rows(
            "UPDATE telemetry_taskprojection SET status = 'cancelled', last_status_ts = %s,"
            " status_rank = %s, status_event_id = NULL",
            at(5),
            projection.AUTHORITY_RANK,
        )
    store(task_event("task_end", 5, metadata={"success": True}))
    assert task().status == "cancelled"
    store(task_event("task_end", 6, metadata={"success": True}))
    assert task().status == "succeeded"


@pytest.mark.django_db(databases="__all__")
def test_the_latency_is_that_of_rows_that_events_changed() -> None:
    assert projection.sync_latency_ms(at(0)) is None
    store(task_event("task_start", 1, task_id="a"), task_event("task_start", 3, task_id="b"))
    with projection.updating():
        rows("UPDATE telemetry_taskprojection SET updated_utc = %s", at(4))
    assert projection.sync_latency_ms(at(0)) == 2000
    assert projection.sync_latency_ms(at(5)) is None
