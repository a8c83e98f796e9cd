"""Batches that meet wait for each other."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections, transaction

from telemetry import database, staging
from telemetry.consumers import registry
from telemetry.events import COLUMNS
from telemetry.ingest import batch, copy_text
from telemetry.ingest.batch import Outcome
from tests.support.polling import until
from tests.support.task_events import at, event, rows, store, task, task_event

COPY = f"COPY telemetry_staging (ordinal, {', '.join(COLUMNS)}) FROM STDIN"


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("name", ["error", "task_start"])
def test_batches_that_meet_in_opposite_orders_do_not_deadlock(name: str) -> None:
    lines = [
        b"%d\t" % number + copy_text.line(event(name, 1, task_id=f"{number}", stage=f"{number}"))
        for number in range(40)
    ]

    def work(seed: int) -> None:
        shuffled = random.Random(seed)
        try:
            for _ in range(15):
                # As ingest does, which would try a batch again that lost a deadlock.
                with transaction.atomic(using=database.ALIAS):
                    staging.prepare()
                    copy_text.send(COPY, b"".join(shuffled.sample(lines, len(lines))))
                    registry.consume()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert rows(
        "SELECT (SELECT count(*) FROM telemetry_errorgroup WHERE count = 60)"
        " + (SELECT count(*) FROM telemetry_taskprojection)"
    ) == [(40,)]


@pytest.mark.usefixtures("committed")
def test_batches_with_the_same_events_that_meet_store_each_once() -> None:
    kinds = ("command_end", "event_insert", "error")
    events = [batch.event(kinds[number % 3], stage="s") for number in range(60)]
    batch.store([batch.event("command_start")])  # the day has a partition now

    def work(seed: int) -> int:
        shuffled, accepted = random.Random(seed), 0
        try:
            for _ in range(5):
                for start in range(0, 60, 20):
                    part = shuffled.sample(events[start : start + 20], 20)
                    accepted += batch.store(part).count(Outcome.ACCEPTED)
        finally:
            connections.close_all()
        return accepted

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == 60
    assert rows("SELECT count(*), count(DISTINCT id) FROM telemetry_telemetryevent") == [(61, 61)]
    assert rows("SELECT sum(count) FROM telemetry_errorgroup") == [(20,)]


def waits() -> bool:
    """Return whether a connection waits for a lock."""
    rows("SELECT pg_stat_clear_snapshot()")  # a transaction sees it only once
    return bool(
        rows(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
    )


@pytest.mark.usefixtures("committed")
def test_two_namespaces_that_meet_at_a_new_task_lose_no_event() -> None:
    def second() -> None:
        try:
            # The decision has no namespace: it counts for any owner.
            store(task_event("task_start", 1, namespace="us"), task_event("decision", 7))
        finally:
            connections.close_all()

    store(event("command_start", 1))  # its day has a partition now
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic(using=database.ALIAS):
            store(task_event("task_start", 1, namespace="eu"))
            waiting = pool.submit(second)
            until(waits, "the second batch did not wait")
        waiting.result()
    assert (task().namespace, task().status, task().last_event_ts) == ("eu", "running", at(7))
