"""Reconciliation: three kinds of drift, counted, reported and repaired."""

import itertools
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from governance.access.actors import SYSTEM
from governance.kernel import clock
from governance.models import OperationRun
from orbit_site.overview import problems
from telemetry import database
from telemetry.events import Name
from telemetry.ingest import batch
from telemetry.models import Metric, TaskProjection, TelemetryEvent
from telemetry.reconcile import by_hand, compare, repair
from telemetry.reconcile import run as reconcile

Put = Callable[..., None]
KINDS = ("missing_in_projection", "missing_in_tasks", "status_mismatch")


def send(name: str, task: str, **metadata: Any) -> None:
    batch.store([batch.event(name, task_id=task, session_id="s", metadata=metadata)])


def run() -> OperationRun:
    """Do a whole run; return it."""
    return by_hand.perform(reconcile.start(SYSTEM, reason="test"))


def counts(done: OperationRun) -> list[int]:
    return [done.progress["drift"][kind]["count"] for kind in KINDS]


def statuses() -> dict[str, str]:
    return dict(TaskProjection.objects.order_by("task_id").values_list("task_id", "status"))


@pytest.fixture
def drifted(tasks: Put) -> Put:
    """One task of each kind of drift, and some that agree."""
    send("task_start", "agrees")
    send("task_start", "differs")
    send("task_end", "script", success=True)
    send("decision", "waits")
    tasks(agrees="RUNNING", differs="FAILED", lost="SUCCEEDED", new="PENDING", waits="PENDING")
    return tasks


def test_three_kinds_of_drift_are_found_repaired_and_gone_in_the_next_run(drifted: Put) -> None:
    first = run()
    assert counts(first) == [1, 1, 1]
    assert [first.progress["drift"][kind]["ids"] for kind in KINDS] == [
        ["lost"],
        ["script"],
        ["differs"],
    ]
    assert statuses() == {
        "agrees": "running",
        "differs": "failed",
        "lost": "succeeded",
        "script": "orphaned",
        "waits": "pending",
    }
    assert (first.summary_counts["total"], first.progress["skipped"]) == (3, 0)
    assert counts(run()) == [0, 0, 0]


def test_an_inserted_task_has_what_the_authority_knows(drifted: Put) -> None:
    run()
    lost = TaskProjection.objects.get(task_id="lost")
    assert (lost.title, lost.priority, lost.tags_json) == ("Load", 3, ["a"])


def test_decisions_and_metrics_report_a_run(drifted: Put) -> None:
    run()
    decisions = {
        event.metadata["kind"]: event.metadata
        for event in TelemetryEvent.objects.filter(name=Name.DECISION, stage="reconcile")
    }
    assert {kind: decisions[kind]["count"] for kind in KINDS} == dict.fromkeys(KINDS, 1)
    assert decisions["missing_in_projection"]["ids"] == ["lost"]
    metrics = dict(Metric.objects.values_list("name", "value"))
    assert metrics["projection_drift_count"] == 3
    assert metrics["projection_sync_latency_ms"] >= 0
    assert metrics["last_reconcile_ts"] > 1_700_000_000


def test_only_the_first_five_ids_are_listed_in_order(tasks: Put) -> None:
    tasks(**{f"T{number}": "RUNNING" for number in (9, 3, 7, 1, 5, 8, 2)})
    found = run().progress["drift"]["missing_in_projection"]
    assert found == {"count": 7, "ids": ["T1", "T2", "T3", "T5", "T7"]}


@pytest.mark.parametrize("status", ["running", "SUCCEEDED", "Failed", "CANCELLED"])
def test_each_status_of_the_authority_is_its_lower_case(tasks: Put, status: str) -> None:
    tasks(T=status)
    run()
    assert statuses() == {"T": status.lower()}


def test_an_orphan_that_goes_on_is_a_task_again(drifted: Put) -> None:
    run()
    send("task_start", "script")
    assert statuses()["script"] == "running"
    # It was counted once, and its status stays that of its events.
    assert counts(run()) == [0, 0, 0]
    assert statuses()["script"] == "running"
    drifted(script="RUNNING")
    assert counts(run()) == [0, 0, 0]


def test_an_event_after_the_comparison_is_not_taken_back(drifted: Put) -> None:
    compare.compare(reconcile.authority.registered())  # type: ignore[arg-type] # it is registered
    send("task_end", "differs", success=True)
    send("task_start", "lost")
    send("task_start", "script")
    before = statuses()
    batches = list(iter(repair.repair, None))
    assert [(done.taken, done.changed) for done in batches] == [(1, 0)] * 3
    assert statuses() == before


def test_an_event_that_is_older_than_the_correction_is_not_newer(drifted: Put) -> None:
    before = clock.now() - timedelta(hours=1)
    early = batch.event(
        "task_end", task_id="differs", occurred_at=before, metadata={"success": True}
    )
    run()
    batch.store([early])
    assert statuses()["differs"] == "failed"


def test_without_an_authority_nothing_is_marked_and_the_metrics_are_there(
    committed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile.authority, "registered", lambda: None)
    send("task_end", "script", success=True)
    done = run()
    assert (counts(done), done.progress["authority"]) == ([0, 0, 0], None)
    assert statuses() == {"script": "succeeded"}
    assert Metric.objects.filter(name="projection_drift_count", value=0).exists()


def test_much_drift_rebuilds_from_the_events_then_repairs(drifted: Put, settings: Any) -> None:
    settings.ORBIT_PROJECTION_DRIFT_THRESHOLD = 1
    with reconcile.repair.projection.updating():
        TaskProjection.objects.all().delete()
    done = run()
    assert (done.progress["rebuilt"], counts(done)) == (True, [3, 0, 0])
    assert statuses() == {
        "agrees": "running",
        "differs": "failed",
        "lost": "succeeded",
        "script": "orphaned",
        "waits": "pending",
    }
    assert counts(run()) == [0, 0, 0]


def test_two_drifting_runs_in_a_row_are_a_warning(
    tasks: Put, caplog: pytest.LogCaptureFixture
) -> None:
    tasks(T1="RUNNING")
    run()
    assert (reconcile.drifting_runs(), caplog.messages) == (1, [])
    tasks(T2="RUNNING")
    run()
    assert reconcile.drifting_runs() == 2
    assert "drifted in 2 runs" in caplog.text
    assert "in 2 runs of telemetry.reconcile in a row" in problems.read()[-1]["text"]
    run()
    assert reconcile.drifting_runs() == 0


def test_a_run_that_died_between_decision_and_repair_is_finished(drifted: Put) -> None:
    started = reconcile.start(SYSTEM, reason="test")
    by_hand.slices.do_next(started.pk, {reconcile.TYPE: reconcile.run_slice}, wake=lambda *_: None)
    assert OperationRun.objects.get().progress["phase"] == "repair"
    assert "lost" not in statuses()
    done = run()
    assert done.pk == started.pk
    assert statuses()["lost"] == "succeeded"
    assert TelemetryEvent.objects.filter(name=Name.DECISION, stage="reconcile").count() == 3


def test_what_a_cancelled_run_has_listed_is_not_repaired_later(drifted: Put) -> None:
    compare.compare(reconcile.authority.registered())  # type: ignore[arg-type] # it is registered
    drifted(lost=None)
    done = run()
    assert counts(done) == [0, 1, 1]
    assert "lost" not in statuses()


def test_of_two_runs_at_once_both_are_the_same(drifted: Put) -> None:
    barrier = threading.Barrier(2)
    runs: list[OperationRun] = []

    def both() -> None:
        try:
            barrier.wait(30)
            runs.append(run())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=both) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    # One may have come after the other's end: then it found nothing.
    found = {done.pk: counts(done) for done in runs}
    assert list(found.values()) in ([[1, 1, 1]], [[1, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 1]])
    assert counts(run()) == [0, 0, 0]


def test_runs_beside_ingest_leave_what_the_events_say(tasks: Put) -> None:
    tasks(**{f"{worker}-{number}": "SUCCEEDED" for worker in range(3) for number in range(50)})
    stop = threading.Event()

    def ingest(worker: int) -> set[str]:
        written = set()
        try:
            for number in itertools.cycle(range(50)):
                if stop.is_set():
                    return written
                written.add(task := f"{worker}-{number}")
                send("task_start", task)
                send("task_end", task, success=True)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(3) as pool:
        ingesting = [pool.submit(ingest, worker) for worker in range(3)]
        try:
            for _ in range(5):
                run()
        finally:
            stop.set()
        written = set().union(*(future.result() for future in ingesting))
    assert {statuses()[task] for task in written} == {"succeeded"}


def test_the_command_prints_words_and_json(
    drifted: Put, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("telemetry", "reconcile", "--json")
    document = json.loads(capsys.readouterr().out)
    assert document["status_mismatch"] == {"count": 1, "ids": ["differs"]}
    assert document["projection_drift_count"] == 3
    call_command("telemetry", "reconcile")
    assert "missing_in_tasks               0" in capsys.readouterr().out
    assert database.ALIAS in connections
