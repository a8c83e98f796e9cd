"""Random operations from eight threads: counts are exact, nothing deadlocks, each run ends."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from governance.access.actors import SYSTEM
from governance.kernel.errors import Kind, OrbitError
from governance.namespaces import halts, registry
from orbit.conductor import (
    aggregate,
    cascade,
    create,
    fanout,
    fenced,
    leases,
    retrying,
    run_cancel,
    work,
)
from orbit.conductor.fenced import Held
from orbit.models import ConductorRun, ConductorTask
from tests.support.conductor_tree import rows, wrong_counts
from tests.support.threads import at_once

pytestmark = pytest.mark.usefixtures("committed")
THREADS, OPERATIONS = 8, 60
NAMESPACES = ["default", "b"]
POLICIES = ["wait_all", "fail_fast", {"tolerate": 1}]
# The last event of each task says its state.
DRIFT = """
SELECT t.id, t.state, e.name
FROM orbit_conductortask t
LEFT JOIN LATERAL (
    SELECT o.name, o.metadata FROM telemetry_outboxevent o
    WHERE o.task_id = t.id ORDER BY o.occurred_at DESC LIMIT 1
) e ON true
WHERE t.state <> CASE
    WHEN e.name IS NULL THEN 'PENDING' WHEN e.name = 'task_start' THEN 'RUNNING'
    WHEN e.name = 'decision' THEN 'CANCELLED'
    WHEN e.metadata @> '{"success": true}' THEN 'SUCCEEDED' ELSE 'FAILED' END
"""
OPEN_IN_ENDED = """
SELECT t.id, t.name, t.state
FROM orbit_conductortask t
JOIN orbit_conductorrun r ON r.id = t.run_id
WHERE r.finished_at IS NOT NULL AND (t.state IN ('PENDING', 'RUNNING') OR t.ready)
"""


class User:
    """A thread's operations, by its own dice."""

    def __init__(self, number: int) -> None:
        self.dice = random.Random(number)
        self.held: list[Held] = []
        self.operations: list[Callable[[], object]] = [
            *[self.create] * 2,
            *[lambda: fanout.run_fanout_once(self.dice.choice([1, 2, 3, 1_000]))] * 4,
            *[lambda: aggregate.run_aggregate_once(passes=self.dice.choice([1, 3, 50]))] * 4,
            *[self.claim] * 6,
            *[lambda: fenced.complete(held := self.take(), [None] * len(held), actor=SYSTEM)] * 4,
            *[lambda: fenced.fail(self.take(), error="broken", actor=SYSTEM)] * 4,
            lambda: fenced.release(self.take(), actor=SYSTEM),
            self.lose,
            *[lambda: work.retry(self.some(state="FAILED"), actor=SYSTEM)] * 4,
            *[lambda: work.cancel(self.some(), actor=SYSTEM)] * 2,
            self.cancel_run,
            lambda: halts.halt(self.dice.choice(NAMESPACES), actor=SYSTEM, reason="a test"),
            *[self.resume] * 2,
        ]

    def act(self) -> None:
        for _ in range(OPERATIONS):
            try:
                self.dice.choice(self.operations)()
            except OrbitError as refusal:
                assert refusal.kind in {Kind.CONFLICT, Kind.MISSING}, refusal

    def create(self) -> None:
        leaf: dict[str, Any] = {"fanout": self.dice.choice([1, 2, 5])}
        inner = {"fanout": self.dice.choice([2, 3]), "child": leaf}
        bad = {"fanout": 2, "child": {"fanout": -1}}
        inputs = [leaf, inner, {"fanout": 2, "child": inner}, bad, {"fanout": None}]
        policy = self.dice.choice(POLICIES)
        task = {"failure_policy": policy, "max_attempts": self.dice.choice([1, 1, 2])}
        tasks = [{"name": "top", **task}, *({"name": "t", "parent": 0, **task} for _ in range(3))]
        for each in tasks[1:]:
            if self.dice.random() < 0.7:
                each["input"] = self.dice.choice(inputs)
        document = {"name": "r", "namespace": self.dice.choice(NAMESPACES), "tasks": tasks}
        create.create(document, actor=SYSTEM)

    def claim(self) -> None:
        claimed = leases.claim(SYSTEM, "w", self.dice.choice([1, 3, 10]))
        self.held += [Held(task.id, task.lease_token) for task in claimed]

    def take(self) -> list[Held]:
        number = self.dice.choice([1, 1, 5])
        taken, self.held = self.held[:number], self.held[number:]
        return taken

    def lose(self) -> None:
        expired = timezone.now() - timedelta(seconds=1)
        for held in self.take():
            mine = ConductorTask.objects.filter(
                pk=held.task_id, lease_token=held.lease_token, state="RUNNING"
            )
            mine.update(lease_expires_at=expired)

    def some(self, **columns: str) -> str:
        ids = ConductorTask.objects.filter(**columns).order_by("-id").values_list("pk", flat=True)
        return self.dice.choice(list(ids[:60]) or ["0" * 26])

    def cancel_run(self) -> None:
        ids = list(ConductorRun.objects.values_list("pk", flat=True)[:10])
        run_cancel.cancel_run(self.dice.choice(ids or ["0" * 26]), actor=SYSTEM, reason="a test")

    def resume(self) -> None:
        halts.resume(self.dice.choice(NAMESPACES), actor=SYSTEM, reason="a test")


def finish() -> None:
    for namespace in NAMESPACES:
        registry.ensure([namespace])
        halts.halt(namespace, actor=SYSTEM, reason="a test")
        halts.resume(namespace, actor=SYSTEM, reason="a test")
    ConductorTask.objects.filter(lease_expires_at__isnull=False).update(
        lease_expires_at=timezone.now() - timedelta(seconds=1)
    )
    while True:
        fanned_out = fanout.run_fanout_once().did_something
        added_up = aggregate.run_to_end().did_something
        claimed = leases.claim(SYSTEM, "w", 1_000)
        held = [Held(task.id, task.lease_token) for task in claimed]
        fenced.complete(held, [None] * len(held), actor=SYSTEM)
        if not (fanned_out or added_up or claimed):
            return


def test_eight_users_at_once_leave_exact_counts_and_runs_that_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cascade, "BATCH", 3)
    monkeypatch.setattr(retrying, "BATCH", 3)
    registry.ensure(NAMESPACES)
    at_once(*[User(number).act for number in range(THREADS)])
    assert wrong_counts() == []
    finish()
    assert wrong_counts() == []
    assert set(ConductorRun.objects.values_list("state", flat=True)) <= {
        "SUCCEEDED",
        "FAILED",
        "CANCELLED",
    }
    assert rows(OPEN_IN_ENDED) == []
    assert rows(DRIFT) == []
