"""Claims and the writes under a lease, in many threads at once."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from governance.access.actors import SYSTEM
from governance.kernel.errors import OrbitError
from orbit.conductor import aggregate, fenced, leases, work
from orbit.conductor.fenced import Held
from orbit.errors import InvalidTransition
from orbit.models import ConductorRun, ConductorTask
from telemetry.models import OutboxEvent
from tests.support.conductor_tasks import create_run, create_tasks
from tests.support.threads import at_once

pytestmark = pytest.mark.usefixtures("committed")
ROUNDS = 20


def claim_one() -> Held:
    create_tasks(create_run(), 1)
    (task,) = leases.claim(SYSTEM, "w", 1)
    return Held(task.id, task.lease_token)


def complete(held: Held, output: Any = None) -> OrbitError | None:
    return fenced.complete([held], [output], actor=SYSTEM)[0].error


def test_sixteen_workers_claim_each_task_once() -> None:
    create_tasks(create_run(), 300)
    create_tasks(create_run("b"), 100)

    def drain() -> list[str]:
        mine: list[str] = []
        while claimed := leases.claim(SYSTEM, "w", 7):
            mine += [task.id for task in claimed]
        return mine

    taken = Counter(task for each in at_once(*[drain] * 16) for task in each)
    # Who meets nothing but locked tasks goes away empty: what is left is claimed now.
    taken.update(drain())
    assert (len(taken), max(taken.values())) == (400, 1)
    assert set(ConductorTask.objects.values_list("state", "attempt")) == {("RUNNING", 1)}
    assert OutboxEvent.objects.filter(name="task_start").count() == 400


def test_a_run_whose_row_a_claim_passed_over_is_started_by_aggregate() -> None:
    run = create_run()
    create_tasks(run, 1)
    with transaction.atomic():
        ConductorRun.objects.select_for_update(no_key=True).get(pk=run.pk)
        (claimed,) = at_once(lambda: leases.claim(SYSTEM, "w", 1))
    assert len(claimed) == 1
    assert ConductorRun.objects.get(pk=run.pk).state == "PENDING"
    aggregate.run_to_end()
    run.refresh_from_db()
    assert run.state == "RUNNING"
    assert run.started_at is not None


def test_of_two_completes_one_wins() -> None:
    for _ in range(ROUNDS):
        held = claim_one()
        errors = at_once(*[lambda held=held: complete(held)] * 2)
        assert sorted(type(error).__name__ for error in errors) == ["InvalidTransition", "NoneType"]
    assert OutboxEvent.objects.filter(name="task_end").count() == ROUNDS


def test_of_a_complete_and_a_cancel_one_wins() -> None:
    for _ in range(ROUNDS):
        held = claim_one()

        def cancel(held: Held = held) -> OrbitError | None:
            try:
                work.cancel(held.task_id, actor=SYSTEM)
            except InvalidTransition as error:
                return error
            return None

        calls: list[Callable[[], OrbitError | None]] = [cancel, lambda held=held: complete(held)]
        cancelled, completed = at_once(*calls)
        assert (cancelled is None) != (completed is None)
        state = ConductorTask.objects.get(pk=held.task_id).state
        assert state == ("CANCELLED" if cancelled is None else "SUCCEEDED")
        assert OutboxEvent.objects.filter(task_id=held.task_id).count() == 2


def test_batches_in_opposite_orders_dont_deadlock() -> None:
    create_tasks(create_run(), 100)
    batch = [Held(task.id, task.lease_token) for task in leases.claim(SYSTEM, "w", 100)]
    results = at_once(
        *[
            lambda order=order: fenced.complete(order, [None] * 100, actor=SYSTEM)
            for order in (batch, batch[::-1])
        ]
    )
    won = [result.id for each in results for result in each if result.error is None]
    assert sorted(won) == sorted(held.task_id for held in batch)


def test_a_worker_that_vanishes_with_fifty_tasks_leaves_them_to_others_once() -> None:
    create_tasks(create_run(), 60)
    lost = [Held(task.id, task.lease_token) for task in leases.claim(SYSTEM, "lost", 50)]
    gone = timezone.now() - timedelta(seconds=1)
    ConductorTask.objects.filter(worker="lost").update(lease_expires_at=gone)

    def finish() -> list[str]:
        done: list[str] = []
        while claimed := leases.claim(SYSTEM, "w", 5):
            held = [Held(task.id, task.lease_token) for task in claimed]
            results = fenced.complete(held, [None] * len(held), actor=SYSTEM)
            done += [result.id for result in results if result.error is None]
        return done

    done = Counter(task for each in at_once(*[finish] * 4) for task in each)
    done.update(finish())
    assert (len(done), max(done.values())) == (60, 1)
    # It wasn't gone, only suspended.
    late = fenced.complete(lost, ["late"] * 50, actor=SYSTEM)
    assert all(isinstance(result.error, InvalidTransition) for result in late)
    assert not ConductorTask.objects.filter(output="late").exists()
    assert OutboxEvent.objects.filter(name="task_end").count() == 60
