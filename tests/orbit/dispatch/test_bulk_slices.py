"""Slices of bulk runs: the canary first, then the others at a rate, and each letter once."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from governance.access.actors import SYSTEM
from governance.models import AuditTrailEntry, GovernanceSetting, OperationRun, OperationRunItem
from orbit import queue, tasks
from orbit.dispatch import bulk, dead_letters
from orbit.dispatch.bulk import LetterFilter
from orbit.errors import AlreadyRequeued
from orbit.models import CycleRun, DeadLetterDispatch, DispatchJob, ExecutionRecord
from tests.support.dead_letters import (
    create_dead_letters,
    make_due,
    run_batches,
    run_operation_tasks,
)
from tests.support.pipeline import configure_endpoints, run_due
from tests.support.receiver import OK, Receiver, http


@pytest.fixture(autouse=True)
def _own_database(committed: str, settings: Any) -> None:
    settings.ORBIT_MAX_DISPATCH_RETRIES = 0
    configure_endpoints(
        settings, default_endpoint="http://127.0.0.1:9/x", other="http://127.0.0.1:9/y"
    )


def results(run: OperationRun) -> list[tuple[str | None, str]]:
    return list(
        OperationRunItem.objects.filter(run=run)
        .order_by("object_id")
        .values_list("outcome", "detail")
    )


def requeued_jobs() -> int:
    return DispatchJob.objects.filter(requeue_of__isnull=False).count()


def jobs_and_originals() -> tuple[int, int]:
    """Return how many jobs were requeued, and of how many jobs."""
    jobs = DispatchJob.objects.filter(requeue_of__isnull=False)
    return jobs.count(), jobs.values("requeue_of").distinct().count()


def end_jobs(status: str) -> None:
    """End the pending requeued jobs, as a worker would."""
    DispatchJob.objects.filter(requeue_of__isnull=False, status="pending").update(
        status=status, next_attempt_at=None, finished_at=Now()
    )


def delivered_canary(count: int, **choices: Any) -> UUID:
    run_id = bulk.requeue(LetterFilter(), actor=SYSTEM, reason="it is back", **choices).run_id
    run_batches(run_id)
    assert requeued_jobs() == 1
    end_jobs("delivered")
    return run_id


def test_one_letter_goes_first_and_the_others_follow_once_it_is_delivered(settings: Any) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        letters = create_dead_letters(25)
        run_id = bulk.requeue(
            LetterFilter(), actor=SYSTEM, reason="it is back", endpoint="current"
        ).run_id
        run = run_batches(run_id)
        assert (requeued_jobs(), run.progress["processed"], run.status) == (1, 1, "running")
        run = run_batches(run_id, 3)
        assert (requeued_jobs(), "waiting for the canary" in run.progress["note"]) == (1, True)
        run_due(seconds=2)
        run = run_batches(run_id)
        # The rate is 10 a second, and this slice didn't come late.
        assert (requeued_jobs(), run.progress["processed"], "note" in run.progress) == (
            11,
            11,
            False,
        )
        run = run_batches(run_id, 2)
        run_due(seconds=5)
        delivery_ids = [request.headers["idempotency-key"] for request in receiver.requests]
    assert (run.status, run.outcome) == ("completed", "succeeded")
    assert run.summary_counts == {
        "total": 25,
        "processed": 25,
        "succeeded": 25,
        "failed": 0,
        "skipped": 0,
    }
    assert sorted(delivery_ids) == sorted(
        str(letter.job.delivery_id) for letter in DeadLetterDispatch.objects.select_related("job")
    )
    assert {letter.resolved_by for letter in DeadLetterDispatch.objects.all()} == {"orbit"}
    assert ExecutionRecord.objects.filter(event="dead_letter_requeued").count() == 25
    entries = AuditTrailEntry.objects.filter(action="dead_letter.requeued", namespace="a").order_by(
        "id"
    )
    assert [letter for entry in entries for letter in entry.after["dead_letter_ids"]] == [
        str(letter) for letter in letters
    ]
    assert sum(entry.after["count"] for entry in entries) == 25


def test_a_canary_that_dies_stops_the_run_and_nothing_else_is_sent(settings: Any) -> None:
    with Receiver(http("503 No")) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        create_dead_letters(20)
        run_id = bulk.requeue(LetterFilter(), actor=SYSTEM, reason="try").run_id
        run_batches(run_id)
        run_due(seconds=2)
        run = run_batches(run_id)
        # The letters' jobs keep the endpoint of the fixture: nothing listens there.
        assert run.outcome == "failed"
    assert "the canary died (retries_exhausted" in run.progress["note"]
    assert run.summary_counts == {
        "total": 20,
        "processed": 1,
        "succeeded": 0,
        "failed": 1,
        "skipped": 0,
    }
    assert (requeued_jobs(), DeadLetterDispatch.objects.filter(status="open").count()) == (1, 20)
    assert results(run)[0][0] == "failed"


def test_a_canary_that_is_never_delivered_stops_the_run() -> None:
    create_dead_letters(3)
    run_id = bulk.requeue(LetterFilter(), actor=SYSTEM, reason="try").run_id
    run_batches(run_id)
    DispatchJob.objects.filter(requeue_of__isnull=False).update(
        created_at=F("created_at") - timedelta(minutes=11)
    )
    run = run_batches(run_id)
    assert (run.outcome, requeued_jobs()) == ("failed", 1)
    assert "not delivered within 10 minutes" in run.progress["note"]


def test_a_run_stops_by_itself_when_ten_of_its_jobs_die_one_after_the_other() -> None:
    create_dead_letters(60)
    run_id = delivered_canary(60)
    run = run_batches(run_id)
    assert requeued_jobs() == 11
    end_jobs("dead")
    run = run_batches(run_id)
    assert (run.status, run.outcome, requeued_jobs()) == ("completed", "partially_succeeded", 11)
    assert run.progress["dead"] == 10
    assert "10 of its deliveries in a row ended dead" in run.progress["note"]
    assert Counter(outcome for outcome, _ in results(run)) == {"succeeded": 11, None: 49}


def test_a_death_is_counted_once_while_an_older_job_is_still_open() -> None:
    create_dead_letters(30)
    run_id = delivered_canary(30, rate=4)
    run_batches(run_id)
    oldest, *younger = DispatchJob.objects.filter(status="pending").order_by("requeue_of_id")
    for job in younger:
        DispatchJob.objects.filter(pk=job.pk).update(
            status="dead", next_attempt_at=None, finished_at=Now()
        )
    counts = [run_batches(run_id).progress["dead"] for _ in range(3)]
    assert counts == [len(younger)] * 3
    assert DispatchJob.objects.get(pk=oldest.pk).status == "pending"


def test_deliveries_between_deaths_keep_a_run_going() -> None:
    create_dead_letters(60)
    run_id = delivered_canary(60)
    for status in ("dead", "delivered", "dead"):
        run_batches(run_id)
        jobs = DispatchJob.objects.filter(requeue_of__isnull=False, status="pending").values_list(
            "pk", flat=True
        )
        DispatchJob.objects.filter(pk__in=list(jobs[:9])).update(
            status=status, next_attempt_at=None, finished_at=Now()
        )
        end_jobs("delivered")
    run = run_batches(run_id, 5)
    assert (run.outcome, run.progress["processed"]) == ("succeeded", 60)


def test_letters_that_are_gone_resolved_or_without_an_endpoint_have_their_outcome(
    settings: Any,
) -> None:
    requeued, dismissed, other, fine = (
        create_dead_letters(1)[0],
        create_dead_letters(1)[0],
        create_dead_letters(1, key="other")[0],
        create_dead_letters(1)[0],
    )
    there, hidden, missing = (
        create_dead_letters(1)[0],
        create_dead_letters(1, namespace="c")[0],
        uuid4(),
    )
    DispatchJob.objects.filter(dead_letter=there).update(status="delivered")
    dead_letters.requeue(requeued, actor=SYSTEM, reason="x")
    dead_letters.dismiss(dismissed, actor=SYSTEM, reason="x")
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/x")
    actor = replace(SYSTEM, namespaces=frozenset({"a", "b"}))
    run_id = bulk.requeue(
        [requeued, dismissed, other, fine, there, hidden, missing],
        actor=actor,
        reason="x",
        endpoint="current",
    ).run_id
    run_batches(run_id)
    end_jobs("delivered")
    run = run_batches(run_id, 3)
    details = dict(OperationRunItem.objects.filter(run=run).values_list("object_id", "detail"))
    assert (details[requeued], details[dismissed]) == ("already requeued", "already dismissed")
    assert details[hidden] == details[missing] == "there is no such dead letter"
    assert details[there] == "delivered already"
    assert details[other] == "no endpoint 'other' is configured now"
    assert details[fine].startswith("requeued as job ")
    assert run.outcome == "partially_succeeded"
    assert run.summary_counts == {
        "total": 7,
        "processed": 7,
        "succeeded": 1,
        "failed": 3,
        "skipped": 3,
    }


def test_letters_of_a_halted_namespace_wait_while_others_go_on() -> None:
    create_dead_letters(3, namespace="a"), create_dead_letters(3, namespace="b")
    GovernanceSetting.objects.filter(namespace__name="a").update(halt=True, mode="halting")
    run_id = delivered_canary(6)
    run = run_batches(run_id, 3)
    assert (run.status, run.progress["processed"], run.progress["note"]) == (
        "running",
        3,
        "waiting for halted namespaces: a",
    )
    assert set(
        DeadLetterDispatch.objects.filter(status="requeued").values_list("namespace", flat=True)
    ) == {"b"}
    GovernanceSetting.objects.filter(namespace__name="a").update(halt=False, mode="running")
    assert run_batches(run_id, 2).outcome == "succeeded"


def test_a_pause_of_everything_stops_a_slice(settings: Any) -> None:
    create_dead_letters(3)
    run_id = bulk.requeue(LetterFilter(), actor=SYSTEM, reason="x").run_id
    settings.ORBIT_GLOBAL_PAUSE = True
    run = run_batches(run_id)
    assert (requeued_jobs(), run.progress["note"]) == (0, "waiting: everything is paused")
    settings.ORBIT_GLOBAL_PAUSE = False
    assert run_batches(run_id).progress["processed"] == 1


def test_a_doubled_task_does_nothing() -> None:
    create_dead_letters(40)
    run_id = delivered_canary(40)
    make_due(run_id)

    def task(_: int) -> None:
        try:
            tasks.operate(str(run_id))
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(task, range(24)))
    assert requeued_jobs() == 11
    assert OperationRun.objects.get(pk=run_id).progress["processed"] == 11


def test_the_queue_keeps_the_rate() -> None:
    create_dead_letters(60)
    run_id = delivered_canary(60, rate=20)
    make_due(run_id)
    queue.wake(queue.OPERATE, str(run_id))
    queue.wake(queue.OPERATE, str(run_id))
    began = time.monotonic()
    run_operation_tasks(until=lambda: requeued_jobs() >= 1 + 40)
    seconds = time.monotonic() - began
    assert requeued_jobs() <= 1 + 20 * (seconds + 1)


def test_thousands_of_letters_take_as_many_statements_a_slice_as_forty() -> None:
    def statements(run_id: UUID) -> int:
        make_due(run_id)
        with CaptureQueriesContext(connection) as queries:
            run_batches(run_id)
        # Two notifications within 20 ms are sent as one.
        return sum("pg_notify" not in query["sql"] for query in queries.captured_queries)

    # The slice that finds the canary delivered has one statement more than those after it.
    create_dead_letters(40)
    few = delivered_canary(40, rate=10)
    expected = {statements(few) for _ in range(3)}
    run_batches(few, 3)
    end_jobs("delivered")
    create_dead_letters(3_000)
    many = bulk.requeue(LetterFilter(), actor=SYSTEM, reason="x", rate=500).run_id
    run_batches(many)
    end_jobs("delivered")
    assert {statements(many) for _ in range(5)} == expected
    while (run := OperationRun.objects.get(pk=many)).status != "completed":
        run_batches(many)
    assert (run.outcome, run.summary_counts["succeeded"]) == ("succeeded", 3_000)
    assert DeadLetterDispatch.objects.filter(status="open").count() == 0
    assert jobs_and_originals() == (3_040, 3_040)
    assert CycleRun.objects.filter(next_due_at__isnull=False).count() == 3_040


def test_two_runs_and_a_user_at_once_make_one_job_of_each_letter() -> None:
    for _ in range(20):
        letters = create_dead_letters(12)
        runs = [
            bulk.requeue(LetterFilter(), actor=SYSTEM, reason="all", rate=500).run_id,
            bulk.requeue(letters, actor=SYSTEM, reason="some", rate=500).run_id,
        ]
        refusals = []

        def run(run_id: UUID) -> None:
            try:
                run_batches(run_id)
                end_jobs("delivered")
                run_batches(run_id, 2)
            finally:
                connection.close()

        def requeue_one(letter: UUID) -> None:
            try:
                dead_letters.requeue(letter, actor=SYSTEM, reason="by hand")
            except AlreadyRequeued:
                refusals.append(letter)  # noqa: B023 - the pool ends with the loop's turn
            finally:
                connection.close()

        with ThreadPoolExecutor(5) as pool:
            calls = [
                *(pool.submit(run, run_id) for run_id in runs),
                *(pool.submit(requeue_one, letter) for letter in reversed(letters)),
            ]
            for call in calls:
                call.result()
        for run_id in runs:
            end_jobs("delivered")
            run_batches(run_id, 3)
        end_jobs("delivered")
        outcomes = OperationRunItem.objects.filter(run__in=runs).values_list("outcome", "detail")
        succeeded = sum(outcome == "succeeded" for outcome, _ in outcomes)
        assert succeeded == len(refusals)
        assert {detail for outcome, detail in outcomes if outcome == "skipped"} <= {
            "already requeued"
        }
        assert all(outcome is not None for outcome, _ in outcomes)
        assert not DeadLetterDispatch.objects.filter(status="open").exists()
    assert jobs_and_originals() == (240, 240)


def test_many_are_dismissed_without_a_canary_and_nothing_is_sent() -> None:
    letters = create_dead_letters(30)
    dead_letters.requeue(letters[0], actor=SYSTEM, reason="x")
    run_id = bulk.dismiss(letters, actor=SYSTEM, reason="too old", rate=20).run_id
    run = run_batches(run_id, 2)
    assert (run.outcome, run.summary_counts["succeeded"], run.summary_counts["skipped"]) == (
        "succeeded",
        29,
        1,
    )
    assert set(DeadLetterDispatch.objects.values_list("status", "resolved_reason")) == {
        ("dismissed", "too old"),
        ("requeued", "x"),
    }
    assert (
        requeued_jobs(),
        ExecutionRecord.objects.filter(event="dead_letter_dismissed").count(),
    ) == (
        1,
        29,
    )
    assert (
        sum(
            entry.after["count"]
            for entry in AuditTrailEntry.objects.filter(action="dead_letter.dismissed")
        )
        == 29
    )
