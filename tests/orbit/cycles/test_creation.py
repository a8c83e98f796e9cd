"""Cycles are inserted, one or many, and refused beside an active cycle."""

import threading

import pytest
from django.db import connection, connections, transaction

from orbit.cycles import creation
from orbit.cycles.bridge import raw_context
from orbit.cycles.creation import NewCycle
from orbit.models import CycleRun
from orbit.pipeline.contract import Payload
from orbit.states import Cycle, Trigger
from tests.support.configuration import active_cycle, profile, run_profile, store_profiles
from tests.support.pipeline import rows


def new_cycle(namespace: str = "default", body: bytes | None = None) -> NewCycle:
    return NewCycle(
        raw_context(namespace),
        Trigger.REST,
        "ann",
        None if body is None else Payload(body, "text/plain"),
    )


def namespaces(*names: str) -> None:
    store_profiles([profile()], [run_profile(f"r-{name}", namespace=name) for name in names])


@pytest.mark.django_db
def test_a_pending_cycle_is_due_at_once_and_a_queued_one_is_not_due() -> None:
    first, second = new_cycle(body=b"\x00\xff"), new_cycle()
    assert creation.insert([first], Cycle.PENDING) == {first.id}
    assert creation.insert([second], Cycle.QUEUED) == {second.id}
    pending, queued = CycleRun.objects.get(pk=first.id), CycleRun.objects.get(pk=second.id)
    assert (
        pending.status,
        pending.next_due_at is not None,
        bytes(pending.input),
        pending.input_content_type,
    ) == ("pending", True, b"\x00\xff", "text/plain")
    assert (queued.status, queued.next_due_at, bytes(queued.input), queued.input_content_type) == (
        "queued",
        None,
        b"{}",
        "application/json",
    )


@pytest.mark.django_db
def test_only_cycles_of_free_namespaces_are_inserted() -> None:
    namespaces("a", "b", "c")
    active_cycle("b")
    new_cycles = [new_cycle("c"), new_cycle("b"), new_cycle("a")]
    assert creation.insert(new_cycles, Cycle.PENDING) == {new_cycles[0].id, new_cycles[2].id}


@pytest.mark.django_db
def test_many_large_cycles_are_inserted_in_several_statements(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(creation, "MOST_BYTES", 1000)
    monkeypatch.setattr(creation, "MOST_ROWS", 3)
    new_cycles = [new_cycle(body=b"x" * 400) for _ in range(3)] + [new_cycle() for _ in range(4)]
    assert [len(part) for part in creation.split(new_cycles)] == [2, 3, 2]
    assert len(creation.insert(new_cycles, Cycle.QUEUED)) == 7


@pytest.mark.django_db
def test_the_active_cycle_is_resumed_only_by_the_same_trigger_after_its_lease_ran_out() -> None:
    cycle = active_cycle()
    assert not creation.active_cycles(["default"])["default"].is_resumed_by(None)
    rows(
        "UPDATE orbit_cyclerun SET status = 'running', started_at = now(), lease_owner = 'w',"
        " lease_expires_at = now() - interval '1 s' RETURNING 1"
    )
    active = creation.active_cycles(["default", "elsewhere"])["default"]
    assert (active.id, active.is_resumed_by(None), active.is_resumed_by("r")) == (
        cycle.pk,
        True,
        False,
    )
    assert not active.is_resumed_by(None, Payload(b"other", "text/plain"))


@pytest.mark.parametrize("turn", range(20))
def test_calls_with_the_same_namespaces_in_another_order_do_not_deadlock(
    committed: str, turn: int
) -> None:
    namespaces("a", "b", "c", "d")
    counts: list[int] = []
    barrier = threading.Barrier(2)

    def run(order: str) -> None:
        try:
            barrier.wait()
            with transaction.atomic():
                counts.append(
                    len(creation.insert([new_cycle(name) for name in order], Cycle.PENDING))
                )
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[order]) for order in ("abcd", "dcba")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(counts) == [0, 4]
    connection.close()
