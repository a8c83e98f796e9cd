"""The queue in the database: wake-ups, claims, notifications, and rows that can't be read."""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection, connections, transaction
from django_q.brokers import get_broker
from django_q.models import OrmQ, Task
from django_q.signing import SignedPackage

from orbit import queue
from tests.support.pipeline import rows


def pack(func: Any, *, age: timedelta = timedelta()) -> int:
    payload = SignedPackage.dumps(
        {
            "id": "i",
            "name": "n",
            "func": func,
            "args": (),
            "kwargs": {},
            "started": datetime.now(UTC) - age,
        }
    )
    return OrmQ.objects.create(key=queue.QUEUE, payload=payload, lock=datetime.now(UTC)).pk


def claim_and_read() -> dict[str, Any] | None:
    [(row, payload)] = queue.PgBroker().dequeue()
    return queue.read(row, payload)


@pytest.fixture
def listener(committed: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection that receives the notifications of the workers."""
    with psycopg.connect(
        **{**connection.get_connection_params(), "autocommit": True}
    ) as subscribed:
        subscribed.execute(f"LISTEN {queue.CHANNEL}")
        yield subscribed


def count_notifications(listener: psycopg.Connection[Any], *, expected: int) -> int:
    """Wait for the ``expected`` notifications, then a moment for more; return how many came."""
    count = len(list(listener.notifies(timeout=60, stop_after=expected))) if expected else 0
    return count + len(list(listener.notifies(timeout=0.3)))


@pytest.mark.django_db
def test_django_q_uses_our_broker() -> None:
    assert isinstance(get_broker(), queue.PgBroker)


@pytest.mark.django_db
def test_a_task_comes_out_as_it_went_in() -> None:
    queue.wake(queue.TICK, "some-id")
    task = claim_and_read()
    assert task is not None
    assert (task["func"], task["args"], task["kwargs"]) == (queue.TICK, ("some-id",), {})


@pytest.mark.django_db
def test_a_row_that_is_rolled_back_is_gone() -> None:
    with transaction.atomic():
        queue.wake()
        transaction.set_rollback(True)
    assert queue.ready_wakeups() == 0


def test_the_workers_are_notified_after_the_commit_and_not_before(
    listener: psycopg.Connection[Any],
) -> None:
    with transaction.atomic():
        queue.wake()
        assert count_notifications(listener, expected=0) == 0
    assert count_notifications(listener, expected=1) == 1


def test_a_burst_of_wakeups_notifies_the_workers_a_few_times_only(
    listener: psycopg.Connection[Any],
) -> None:
    time.sleep(queue.QUIET)
    began = time.monotonic()
    for _ in range(50):
        queue.wake()
    took = time.monotonic() - began
    assert 1 <= count_notifications(listener, expected=1) <= took / queue.QUIET + 1


@pytest.mark.django_db
def test_a_claimed_row_comes_back_after_its_time_unless_it_was_acknowledged() -> None:
    queue.wake()
    broker = queue.PgBroker()
    [(row, _)] = broker.dequeue()
    assert broker.dequeue() == []
    OrmQ.objects.filter(pk=row).update(lock=datetime.now(UTC) - timedelta(seconds=1))
    assert [claimed for claimed, _ in broker.dequeue()] == [row]
    broker.acknowledge(row)
    assert not OrmQ.objects.exists()


@pytest.mark.django_db
def test_the_oldest_row_of_both_kinds_is_claimed_first_one_at_a_time() -> None:
    row_ids = []
    for task in (queue.TICK, queue.ADVANCE, queue.TICK):
        queue.wake(task)
        row_ids.append(OrmQ.objects.order_by("-pk")[0].pk)
    broker = queue.PgBroker()
    assert [broker.dequeue()[0][0] for _ in row_ids] == row_ids


def test_a_claim_does_not_wait_for_another_that_is_under_way(committed: str) -> None:
    queue.wake()
    queue.wake()
    other = connections.create_connection("default")
    with transaction.atomic():
        [(first, _)] = queue.PgBroker().dequeue()
        try:
            with other.cursor() as cursor:
                cursor.execute("SET statement_timeout = '60s'")
                cursor.execute(
                    queue.CLAIM.text,
                    {"seconds": 150, "keys": [queue.QUEUE, queue.WAKE], "limit": 1},
                )
                [(second, _)] = cursor.fetchall()
        finally:
            other.close()
    assert first != second


@pytest.mark.django_db
def test_a_wakeup_for_later_is_not_ready_now_and_one_for_the_same_second_adds_nothing() -> None:
    later = datetime.now(UTC) + timedelta(seconds=60)
    queue.wake(at=later)
    queue.wake(at=later + timedelta(seconds=0.9))
    queue.wake(at=later + timedelta(seconds=5))
    assert queue.PgBroker().dequeue() == []
    assert [lock for (lock,) in rows("SELECT lock FROM django_q_ormq ORDER BY lock")] == [
        later,
        later + timedelta(seconds=5),
    ]


@pytest.mark.django_db
def test_tasks_with_different_arguments_for_the_same_second_are_all_kept() -> None:
    later = datetime.now(UTC) + timedelta(seconds=60)
    for run in ("a", "b"):
        queue.wake(queue.OPERATE, run, at=later)
    assert queue.PgBroker().dequeue() == []
    assert [lock for (lock,) in rows("SELECT lock FROM django_q_ormq")] == [later, later]


@pytest.mark.django_db
def test_a_burst_collapses_to_the_eight_oldest_and_spares_other_tasks_and_times() -> None:
    for _ in range(20):
        queue.wake()
    oldest = list(OrmQ.objects.order_by("lock", "pk").values_list("pk", flat=True)[:8])
    queue.wake(queue.TICK, "x")
    queue.wake(at=datetime.now(UTC) + timedelta(hours=1))
    assert queue.collapse() == 12
    assert queue.ready_wakeups() == 8
    assert (
        list(
            OrmQ.objects.filter(key=queue.WAKE)
            .order_by("lock", "pk")
            .values_list("pk", flat=True)[:8]
        )
        == oldest
    )
    assert OrmQ.objects.count() == 10
    assert queue.collapse() == 0


def test_a_row_that_is_being_claimed_is_not_collapsed(committed: str) -> None:
    for _ in range(10):
        queue.wake()
    newest = OrmQ.objects.order_by("-pk")[0].pk
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT 1 FROM django_q_ormq WHERE id = %s FOR UPDATE", [newest])
            assert queue.collapse() == 1
            cursor.execute("ROLLBACK")
    finally:
        other.close()
    assert OrmQ.objects.filter(pk=newest).exists()


@pytest.mark.django_db
def test_a_task_that_is_not_in_the_table_is_put_back_without_being_imported() -> None:
    sys.modules.pop("this", None)
    row = pack("this.nothing")
    assert claim_and_read() is None
    [(key, wait)] = rows("SELECT key, lock - now() FROM django_q_ormq WHERE id = %s", row)
    assert (key, wait) == (queue.QUEUE, timedelta(seconds=queue.PUT_BACK_SECONDS))
    assert "this" not in sys.modules


@pytest.mark.django_db
def test_an_unknown_task_is_quarantined_after_ten_minutes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    row = pack("os.system", age=timedelta(minutes=11))
    assert claim_and_read() is None
    assert OrmQ.objects.get(pk=row).key == queue.BAD
    assert queue.PgBroker().dequeue() == []
    assert "os.system" in caplog.text


@pytest.mark.django_db
@pytest.mark.parametrize(
    "payload",
    ["", "no signature", "a:b:c", SignedPackage.dumps({"func": 1}), SignedPackage.dumps([1])],
    ids=["empty", "unsigned", "badly signed", "no name", "no task"],
)
def test_a_row_that_cannot_be_read_is_quarantined(payload: str) -> None:
    OrmQ.objects.create(key=queue.QUEUE, payload=payload, lock=datetime.now(UTC))
    assert claim_and_read() is None
    assert OrmQ.objects.get().key == queue.BAD


@pytest.mark.django_db
def test_a_signed_pickle_that_names_a_function_runs_no_import() -> None:
    pack(sys.intern)
    assert claim_and_read() is None
    assert OrmQ.objects.get().key == queue.BAD


@pytest.mark.django_db
def test_the_claim_walks_the_index_however_many_rows_wait_for_later() -> None:
    rows(
        "INSERT INTO django_q_ormq (key, payload, lock)"
        " SELECT 'orbit', '', now() + interval '1 day' FROM generate_series(1, 5000) RETURNING 1"
    )
    rows(
        "INSERT INTO django_q_ormq (key, payload, lock)"
        " SELECT 'orbit', '', now() - i * interval '1 s' FROM generate_series(1, 5000) i"
        " RETURNING 1"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) {queue.CLAIM.text}",
            {"seconds": 150, "keys": [queue.QUEUE, queue.WAKE], "limit": 1},
        )
        text = "\n".join(line for (line,) in cursor.fetchall())
    assert "orbit_queue_ready" in text
    assert "Seq Scan" not in text


@pytest.mark.django_db
def test_old_failures_are_deleted_up_to_a_limit_and_new_ones_kept() -> None:
    now = datetime.now(UTC)
    for number, days in enumerate((1, 8, 9, 10)):
        moment = now - timedelta(days=days)
        Task.objects.create(
            id=str(number), name="n", func="f", started=moment, stopped=moment, success=False
        )
    assert queue.prune_failures(limit=2) == 2
    assert set(Task.objects.values_list("id", flat=True)) == {"0", "1"}


@pytest.mark.parametrize("what", ["claim", "acknowledge", "notify"])
def test_a_wake_up_waits_for_no_disk_and_a_trigger_does(committed: str, what: str) -> None:
    """In a transaction of its own; a server's crash may undo it, which does no harm."""
    with transaction.atomic():
        queue.wake()
        assert rows("SHOW synchronous_commit") == [("on",)]
    broker = queue.PgBroker()
    with transaction.atomic():
        if what == "notify":
            queue._Notifier().notify()
        else:
            [(row, _)] = broker.dequeue()
        if what == "acknowledge":
            rows("SELECT set_config('synchronous_commit', 'on', true)")
            broker.delete(row)
            assert not OrmQ.objects.exists()
        assert rows("SHOW synchronous_commit") == [("off",)]
    assert rows("SHOW synchronous_commit") == [("on",)]
