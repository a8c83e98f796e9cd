"""Cycles as they are inserted, one or many, and what is in their way."""

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
def test_a_pending_one_is_due_at_once_and_a_queued_one_never() -> None:
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
    wanted = [new_cycle("c"), new_cycle("b"), new_cycle("a")]
    assert creation.insert(wanted, Cycle.PENDING) == {wanted[0].id, wanted[2].id}


@pytest.mark.django_db
def test_many_large_ones_go_in_several_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(creation, "MOST_BYTES", 1000)
    monkeypatch.setattr(creation, "MOST_ROWS", 3)
    wanted = [new_cycle(body=b"x" * 400) for _ in range(3)] + [new_cycle() for _ in range(4)]
    assert [len(part) for part in creation.split(wanted)] == [2, 3, 2]
    assert len(creation.insert(wanted, Cycle.QUEUED)) == 7


@pytest.mark.django_db
def test_the_active_cycle_is_resumed_only_by_the_same_trigger_after_its_lease_ran_out() -> None:
    cycle = active_cycle()
    assert not creation.active_cycles(["default"])["default"].is_resumed_by(None)
    rows(
        "UPDATE orbit_cyclerun SET status = 'running', started_at = now(), lease_owner = 'w', lease_expires_at = now() - interval '1 s' RETURNING 1"
    )
    found = creation.active_cycles(["default", "elsewhere"])["default"]
    assert (found.id, found.is_resumed_by(None), found.is_resumed_by("r")) == (
        cycle.pk,
        True,
        False,
    )
    assert not found.is_resumed_by(None, Payload(b"other", "text/plain"))


@pytest.mark.parametrize("turn", range(20))
def test_calls_that_name_the_same_namespaces_in_another_order_never_wait_for_each_other_in_a_circle(
    committed: str, turn: int
) -> None:
    namespaces("a", "b", "c", "d")
    made: list[int] = []
    barrier = threading.Barrier(2)

    def run(order: str) -> None:
        try:
            barrier.wait()
            with transaction.atomic():
                made.append(
                    len(creation.insert([new_cycle(name) for name in order], Cycle.PENDING))
                )
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[order]) for order in ("abcd", "dcba")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(made) == [0, 4]
    connection.close()
