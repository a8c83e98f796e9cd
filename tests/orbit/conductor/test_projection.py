"""Every transition of a task has its event, and the projection agrees with the tasks."""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from django.db import connections, transaction
from django.utils import timezone

from governance.access.actors import SYSTEM
from governance.kernel.errors import OrbitError
from governance.models import OperationRun
from orbit.conductor import aggregate, fanout, fenced, leases, run_cancel, work
from orbit.conductor.fenced import Held
from orbit.models import ConductorRun, ConductorTask
from orbit.states import TASK
from orbit_site.processes.postgres import Server
from telemetry import coverage, forward, outbox
from telemetry.consumers import projection
from telemetry.ingest import batch
from telemetry.models import OutboxEvent, TaskProjection, TelemetryEvent
from telemetry.reconcile import by_hand, compare
from telemetry.reconcile import run as reconcile
from tests.support import telemetry
from tests.support.conductor import leaves, parent, run

KINDS = ("missing_in_projection", "missing_in_tasks", "status_mismatch")
EVENTS = {"RUNNING": "task_start", "CANCELLED": "decision"}
RECORD = """
CREATE TABLE test_transition (task text, source text, target text, at timestamptz);
GRANT INSERT, SELECT ON test_transition TO PUBLIC;
CREATE FUNCTION test_record() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO {schema}.test_transition
    VALUES (NEW.id, OLD.state, NEW.state, NEW.state_changed_at);
    RETURN NULL;
END $$;
CREATE TRIGGER test_record AFTER UPDATE ON orbit_conductortask FOR EACH ROW
WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION test_record();
"""
UNRECORD = """
DROP TRIGGER test_record ON orbit_conductortask;
DROP FUNCTION test_record();
DROP TABLE test_transition
"""


@pytest.fixture
def transitions(committed: str, server: Server) -> Iterator[Callable[[], list[tuple[Any, ...]]]]:
    """The database's own list of transitions: (task, source, target, time)."""
    with psycopg.connect(server.url("orbit_owner", committed), autocommit=True) as owner:
        schema = owner.execute("SELECT current_schema()").fetchone()
        assert schema is not None
        owner.execute(RECORD.replace("{schema}", schema[0]))  # type: ignore[arg-type] # our text
        try:
            yield lambda: owner.execute(
                "SELECT task, source, target, at FROM test_transition ORDER BY task, at"
            ).fetchall()
        finally:
            connections["default"].close()
            owner.execute(UNRECORD)


class Walk:
    """Does what users, workers and the cluster do, in the order of a seed."""

    def __init__(self, seed: int) -> None:
        self.random, self.held = random.Random(seed), list[Held]()
        policy = self.random.choice(["wait_all", "fail_fast", "tolerate: 1"])
        self.runs = [
            run(
                *leaves(4, max_attempts=2),
                parent(3, "P", failure_policy=policy),
                parent(2, "Q", input={"fanout": 2, "child": {"fanout": 2}}),
                parent(-1, "bad"),
                {"name": "given", "failure_policy": policy},
                {"name": "inside", "parent": 7},
                {"name": "mid", "parent": 7},
                {"name": "deep", "parent": 9},
                parent(-1, "deep bad", parent=9),
            ).id
            for _ in range(2)
        ]

    def step(self) -> None:
        """Take any door."""
        doors = [self.claim, self.complete, self.complete, self.fail, self.release, self.expire]
        doors += [self.fan_out, self.aggregate, self.retry, self.cancel]
        weights = [3] * 8 + [3, 1]
        with suppress(OrbitError):  # a refusal, which must write nothing
            self.random.choices(doors, weights)[0]()

    def claim(self) -> None:
        for task in leases.claim(SYSTEM, "w", 5, 30):
            self.held.append(Held(task.id, task.lease_token))

    def complete(self) -> None:
        if self.held:
            fenced.complete([self.pick()], [1], actor=SYSTEM)

    def fail(self) -> None:
        if self.held:
            fenced.fail([self.pick()], error="x", actor=SYSTEM)

    def release(self) -> None:
        if self.held:
            fenced.release([self.pick()], actor=SYSTEM)

    def expire(self) -> None:
        gone = timezone.now() - timedelta(seconds=1)
        ConductorTask.objects.filter(lease_expires_at__isnull=False).update(lease_expires_at=gone)
        leases.expire(100)

    def fan_out(self) -> None:
        fanout.run_fanout_once()

    def aggregate(self) -> None:
        aggregate.run_aggregate_once()

    def retry(self) -> None:
        work.retry(self.any_task(), actor=SYSTEM, reason="r")

    def cancel(self) -> None:
        if self.random.random() < 0.1:
            run_cancel.cancel_run(self.random.choice(self.runs), actor=SYSTEM, reason="r")
        else:
            work.cancel(self.any_task(), actor=SYSTEM, reason="r")

    def pick(self) -> Held:
        return self.held.pop(self.random.randrange(len(self.held)))

    def any_task(self) -> str:
        # Ids differ from time to time; this order doesn't.
        tasks = ConductorTask.objects.filter(run_id=self.random.choice(self.runs))
        ids = tasks.order_by("parent__name", "index").values_list("id", flat=True)
        failed = list(ids.filter(state="FAILED"))
        return str(
            self.random.choice(failed if failed and self.random.random() < 0.5 else list(ids))
        )


def forward_all() -> None:
    while forward.forward(7):
        pass


def states() -> dict[str, str]:
    """Return the states of the tasks as the projection should have them; PENDING is no row."""
    tasks = ConductorTask.objects.exclude(state="PENDING").values_list("id", "state")
    return {task: state.lower() for task, state in tasks}


def projected() -> dict[str, str]:
    return dict(TaskProjection.objects.values_list("task_id", "status"))


def compared() -> list[int]:
    """Return how many differences of each kind a reconciliation finds."""
    done: OperationRun = by_hand.perform(reconcile.start(SYSTEM, reason="test"))
    return [done.progress["drift"][kind]["count"] for kind in KINDS]


def events_of(model: Any) -> list[tuple[Any, ...]]:
    columns = ("task_id", "name", "occurred_at", "session_id", "metadata")
    return list(model.objects.exclude(session_id=None).values_list(*columns))


def test_each_transition_by_each_door_has_one_event_and_the_projection_follows(
    transitions: Callable[[], list[tuple[Any, ...]]],
) -> None:
    for seed in range(12):
        walk = Walk(seed)
        for number in range(60):
            walk.step()
            if number % 20 == 19:
                forward.forward(walk.random.randrange(1, 20))
        for run_id in walk.runs:  # the next walk has no others' tasks
            with suppress(OrbitError):
                run_cancel.cancel_run(run_id, actor=SYSTEM, reason="r")
        walk.aggregate()
    done = transitions()
    seen = {(source, target) for _, source, target, _ in done}
    assert seen == {(str(a), str(b)) for a, targets in TASK.moves.items() for b in targets}
    events = events_of(OutboxEvent) + events_of(TelemetryEvent)
    runs = dict(ConductorTask.objects.values_list("id", "run_id"))
    assert sorted((task, name, at) for task, name, at, *_ in events if task) == sorted(
        (task, EVENTS.get(target, "task_end"), at) for task, _, target, at in done
    )
    assert all(session == runs[task] for task, _, _, session, _ in events if task)
    # The times of a task grow, so its last event is its last state.
    assert all(a[3] < b[3] for a, b in pairwise(done) if a[0] == b[0])
    assert compared() == [0, 0, 0]  # some events still wait
    forward_all()
    assert projected() == states()
    # The same events once more, in another order.
    again = [
        batch.event(e.name, task_id=e.task_id, occurred_at=e.occurred_at, id=e.id, **_rest(e))
        for e in TelemetryEvent.objects.exclude(task_id=None).order_by("metadata", "id")
    ]
    with projection.updating():
        TaskProjection.objects.all().delete()
    telemetry.rows("DELETE FROM telemetry_telemetryevent WHERE task_id IS NOT NULL RETURNING 1")
    random.Random(1).shuffle(again)
    for start in range(0, len(again), 100):
        batch.store(again[start : start + 100])
    assert projected() == states()
    assert compared() == [0, 0, 0]


def _rest(event: TelemetryEvent) -> dict[str, Any]:
    return {
        "session_id": event.session_id,
        "namespace": event.namespace,
        "metadata": event.metadata,
    }


@pytest.mark.usefixtures("committed")
def test_a_rolled_back_door_leaves_no_event() -> None:
    walk = Walk(0)
    walk.fan_out()
    walk.claim()
    doors = [walk.claim, walk.complete, walk.fail, walk.fan_out, walk.aggregate, walk.cancel]
    before, moved = outbox.backlog().count, 0
    for door in doors:
        with transaction.atomic():
            door()
            moved += outbox.backlog().count - before
            transaction.set_rollback(True)
        assert outbox.backlog().count == before
    assert moved > 3


@pytest.mark.usefixtures("committed")
def test_three_kinds_of_drift_of_the_conductor_are_found_and_mended() -> None:
    created = run(*leaves(4))
    for task in leases.claim(SYSTEM, "w", 3, 30):
        fenced.complete([Held(task.id, task.lease_token)], [1], actor=SYSTEM)
    forward_all()
    lost, wrong, _, pending = [task.id for task in created.tasks]
    with projection.updating():
        TaskProjection.objects.filter(pk=lost).delete()
        TaskProjection.objects.filter(pk=wrong).update(status="running")
    batch.store([batch.event("task_end", task_id="script", session_id="s")])
    assert compared() == [1, 1, 1]
    assert projected() == {**states(), "script": "orphaned"}
    assert pending not in projected()
    assert compared() == [0, 0, 0]


@pytest.mark.usefixtures("committed")
def test_what_changes_while_it_compares_is_no_drift() -> None:
    run(*leaves(2))
    (first, second) = leases.claim(SYSTEM, "w", 2, 30)
    forward_all()
    source = reconcile.authority.registered()
    assert source is not None
    fenced.complete([Held(first.id, first.lease_token)], [1], actor=SYSTEM)
    assert sum(kind.count for kind in compare.compare(source).values()) == 0
    forward_all()
    # Its event is gone from the outbox, and was projected after the comparison began.
    with projection.updating():
        TaskProjection.objects.filter(pk=second.id).update(
            status="failed", updated_utc=timezone.now() + timedelta(hours=1)
        )
    assert sum(kind.count for kind in compare.compare(source).values()) == 0


def test_tasks_that_retention_deleted_are_no_drift_and_go_later(
    committed: str, settings: Any
) -> None:
    settings.ORBIT_TELEMETRY_RETENTION_DAYS = 30
    created = run(*leaves(3))
    for task in leases.claim(SYSTEM, "w", 3, 30):
        fenced.complete([Held(task.id, task.lease_token)], [1], actor=SYSTEM)
    forward_all()
    old, older, recent = [task.id for task in created.tasks]
    with projection.updating():
        for task_id, days in ((old, 20), (older, 40)):
            TaskProjection.objects.filter(pk=task_id).update(
                last_event_ts=timezone.now() - timedelta(days=days)
            )
    ConductorTask.objects.filter(run=created.id).delete()
    ConductorRun.objects.filter(pk=created.id).delete()
    source = reconcile.authority.registered()
    assert source is not None
    reconcile.authority.register(
        reconcile.authority.Authority(source.name, source.query, forgets_after_days=10)
    )
    try:
        assert compared() == [0, 1, 0]
    finally:
        reconcile.authority.register(source)
    assert older not in projected()
    assert projected() == {old: "succeeded", recent: "orphaned"}


@pytest.mark.usefixtures("committed")
def test_coverage_judges_no_run_of_the_conductor() -> None:
    run(*leaves(1))
    leases.claim(SYSTEM, "w", 1, 30)
    forward_all()
    assert coverage.scan().sessions == []
