"""Queued cycles: which one is next, when it starts, and never two active in a namespace."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, connections, transaction
from django.db.models.functions import Now

from governance.access.actors import SYSTEM
from orbit import queue
from orbit.cycles import (
    cancel,
    detail,
    finish,
    lease,
    namespace_queue,
    orchestrate,
    trigger,
)
from orbit.errors import CycleActive
from orbit.models import CycleRun
from orbit.states import Trigger
from tests.support.configuration import active_cycle, profile, run_profile, store_profiles
from tests.support.pipeline import configure_endpoints, rows, run_due
from tests.support.receiver import OK, Receiver

HALT = """UPDATE governance_governancesetting s SET halt = %s, mode = %s FROM governance_namespace n
WHERE n.id = s.namespace_id AND n.name = 'eu' RETURNING 1"""


def start_three_cycles() -> list[UUID]:
    """Start three cycles of one namespace; return their ids. The first is pending, two queued."""
    store_profiles([profile()], [run_profile(name) for name in "abc"])
    return [
        outcome.cycle_run_id
        for outcome in orchestrate.all_enabled(source=Trigger.REST, actor=SYSTEM)
        if outcome.cycle_run_id
    ]


def fail(cycle_id: UUID) -> None:
    """End a cycle as failed, without the code that promotes the next one."""
    CycleRun.objects.filter(pk=cycle_id).update(
        status="failed", finished_at=Now(), next_due_at=None
    )


def statuses() -> list[str]:
    return list(CycleRun.objects.order_by("id").values_list("status", flat=True))


def run_at_once(*actions: Callable[[], object]) -> list[BaseException | None]:
    """Run ``actions`` at the same time, each on its own connection; return what each raised."""
    barrier = threading.Barrier(len(actions))
    errors: list[BaseException | None] = [None] * len(actions)

    def run(place: int, action: Callable[[], object]) -> None:
        try:
            barrier.wait()
            action()
        except BaseException as error:
            errors[place] = error
        finally:
            connections.close_all()

    threads = [
        threading.Thread(target=run, args=[place, action]) for place, action in enumerate(actions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return errors


def test_queued_cycles_run_one_after_another_without_another_trigger(
    committed: str, settings: Any
) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        ids = start_three_cycles()
        run_due(seconds=10)
    assert statuses() == ["success"] * 3
    spans = [
        (cycle.started_at, cycle.finished_at)
        for cycle in CycleRun.objects.filter(pk__in=ids).order_by("id")
    ]
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


@pytest.mark.django_db
def test_a_cycle_that_is_cancelled_gives_the_next_its_turn_and_a_queued_one_gives_none() -> None:
    first, second, third = start_three_cycles()
    cancel.cancel(second, actor=SYSTEM, reason="not today")
    assert statuses() == ["pending", "cancelled", "queued"]
    rows("DELETE FROM django_q_ormq RETURNING id")
    cancel.cancel(first, actor=SYSTEM, reason="nor this")
    assert statuses() == ["cancelled", "cancelled", "pending"]
    assert queue.ready_wakeups() == 1
    assert CycleRun.objects.get(pk=third).next_due_at is not None
    assert rows(
        "SELECT before->>'status' FROM governance_audittrailentry"
        " WHERE action = 'cycle.cancelled' ORDER BY id"
    ) == [("queued",), ("pending",)]


def test_a_cycle_that_is_given_up_gives_the_next_its_turn(committed: str) -> None:
    start_three_cycles()
    [claimed_cycle] = lease.claim(1)
    finish.give_up(claimed_cycle, reason="parked", message="no progress")
    assert statuses() == ["failed", "pending", "queued"]


@pytest.mark.django_db
@pytest.mark.parametrize(("halt", "mode"), [(True, "halting"), (False, "draining")])
def test_nothing_is_promoted_under_a_halt_or_a_drain_and_maintenance_promotes_afterwards(
    halt: bool, mode: str
) -> None:
    first, *_ = start_three_cycles()
    rows(HALT, halt, mode)
    cancel.cancel(first, actor=SYSTEM, reason="stop")
    assert (statuses(), namespace_queue.promote_waiting()) == (["cancelled", "queued", "queued"], 0)
    # Stopped namespaces take no place in the batch of those that could go on.
    assert namespace_queue.WAITING.rows(most=1) == []
    rows(HALT, False, "running")
    assert (namespace_queue.promote_waiting(), statuses()) == (
        1,
        ["cancelled", "pending", "queued"],
    )
    assert namespace_queue.promote_waiting() == 0


@pytest.mark.django_db
def test_a_paused_process_promotes_nothing(settings: Any) -> None:
    first, *_ = start_three_cycles()
    fail(first)
    settings.ORBIT_GLOBAL_PAUSE = True
    assert namespace_queue.promote_waiting() == 0
    settings.ORBIT_GLOBAL_PAUSE = False
    assert namespace_queue.promote_waiting() == 1


@pytest.mark.django_db
def test_late_deliveries_of_an_ended_cycle_promote_nothing_beside_the_running_one() -> None:
    first, *_ = start_three_cycles()
    [claimed_cycle] = lease.claim(1)
    CycleRun.objects.filter(pk=first).update(status="success", finished_at=Now())
    namespace_queue.promote_next("eu")
    assert statuses() == ["success", "pending", "queued"]
    finish.give_up(
        replace(claimed_cycle, status="success"), reason="parked", message="its deliveries"
    )
    assert statuses() == ["success", "pending", "queued"]


@pytest.mark.django_db
def test_a_trigger_is_refused_by_an_active_cycle_and_not_by_queued_ones() -> None:
    first, *_ = start_three_cycles()
    with pytest.raises(CycleActive):
        trigger.start(namespace=None, source=Trigger.REST, actor=SYSTEM, run_profile_id="a")
    fail(first)
    trigger.start(namespace=None, source=Trigger.REST, actor=SYSTEM, run_profile_id="a")
    assert (namespace_queue.promote_waiting(), statuses()) == (
        0,
        ["failed", "queued", "queued", "pending"],
    )


@pytest.mark.django_db
def test_a_queued_cycle_says_what_it_waits_for(settings: Any) -> None:
    first, second, third = start_three_cycles()

    def sentence(cycle_id: UUID) -> str:
        return detail.read(cycle_id, actor=SYSTEM).overview.sentence

    waits = f"Queued: it waits for the cycle {first}, which is pending in eu"
    assert sentence(second) == f"{waits}."
    assert sentence(third) == f"{waits}; 1 more is queued before it."
    fail(first)
    assert "a cluster starts it within a second" in sentence(second)
    rows(HALT, True, "quiet")
    assert sentence(second).startswith("Queued: nothing starts now: eu is halted")


@pytest.mark.parametrize("turn", range(20))
def test_an_end_and_a_trigger_at_once_leave_one_active_cycle(committed: str, turn: int) -> None:
    start_three_cycles()
    [claimed_cycle] = lease.claim(1)
    ended, started = run_at_once(
        lambda: finish.give_up(claimed_cycle, reason="parked", message="no progress"),
        lambda: trigger.start(
            namespace=None, source=Trigger.REST, actor=SYSTEM, run_profile_id="a"
        ),
    )
    assert ended is None
    assert isinstance(started, CycleActive)
    assert statuses() == ["failed", "pending", "queued"]


@pytest.mark.parametrize("turn", range(20))
def test_sweeps_triggers_and_an_orchestration_at_once_leave_one_active(
    committed: str, turn: int
) -> None:
    first, *_ = start_three_cycles()
    fail(first)
    errors = run_at_once(
        namespace_queue.promote_waiting,
        namespace_queue.promote_waiting,
        lambda: trigger.start(
            namespace=None, source=Trigger.REST, actor=SYSTEM, run_profile_id="a"
        ),
        lambda: orchestrate.all_enabled(source=Trigger.REST, actor=SYSTEM),
    )
    assert all(error is None or isinstance(error, CycleActive) for error in errors), errors
    assert statuses().count("pending") == 1
    assert {"queued", "pending"} >= set(statuses()[1:])


@pytest.mark.parametrize("turn", range(20))
def test_an_end_and_a_cancel_of_the_next_cycle_at_once_promote_the_third(
    committed: str, turn: int
) -> None:
    _, second, _ = start_three_cycles()
    [claimed_cycle] = lease.claim(1)
    errors = run_at_once(
        lambda: finish.give_up(claimed_cycle, reason="parked", message="no progress"),
        lambda: cancel.cancel(second, actor=SYSTEM, reason="not this one"),
    )
    assert errors == [None, None]
    namespace_queue.promote_waiting()
    assert statuses() == ["failed", "cancelled", "pending"]


def test_an_end_does_not_wait_for_a_queued_cycle_that_is_being_cancelled(committed: str) -> None:
    _, second, _ = start_three_cycles()
    assert namespace_queue.WAITING.rows(most=9) == []  # the first one, pending, has the turn
    [claimed_cycle] = lease.claim(1)

    def end() -> None:
        try:
            finish.give_up(claimed_cycle, reason="parked", message="no progress")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        cancel.cancel(second, actor=SYSTEM, reason="not this one")
        pool.submit(end).result(timeout=60)
    assert statuses() == ["failed", "cancelled", "pending"]


def test_a_sweep_that_meets_a_trigger_in_a_namespace_promotes_in_the_others(
    committed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_profiles(
        [profile()],
        [run_profile(f"{name}{n}", namespace=name) for name in ("x", "y", "z") for n in range(2)],
    )
    orchestrate.all_enabled(source=Trigger.REST, actor=SYSTEM)
    CycleRun.objects.filter(status="pending").update(
        status="failed", finished_at=Now(), next_due_at=None
    )
    # The sweep reads namespaces that are no longer free when it promotes.
    outdated = (
        "SELECT DISTINCT namespace FROM orbit_cyclerun WHERE status = 'queued'"
        " ORDER BY 1 LIMIT %(most)s"
    )
    monkeypatch.setattr(namespace_queue, "WAITING", replace(namespace_queue.WAITING, text=outdated))
    active_cycle("z")
    assert namespace_queue.promote_waiting() == 2
    assert rows(
        "SELECT namespace, count(*) FROM orbit_cyclerun WHERE status = 'pending'"
        " GROUP BY 1 ORDER BY 1"
    ) == [("x", 1), ("y", 1), ("z", 1)]
