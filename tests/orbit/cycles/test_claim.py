"""A claim takes the oldest cycle that may run, whatever else is due."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from django.db import connection, transaction

from governance.access.actors import SYSTEM
from governance.kernel import clock
from governance.models import Namespace
from governance.namespaces import halts, registry
from orbit import interrupts
from orbit.cycles import lease
from orbit.cycles.cursor import Cursor
from orbit.models import CycleRun
from orbit.pipeline import initiation
from orbit.records.fence import ALONE_FROM
from tests.support import backlog
from tests.support.pipeline import configure_profiles, rows, start_cycle
from tests.support.polling import until

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process runs suspected cycles."""
    monkeypatch.setattr(interrupts.process, "alone", True)


def due_ids(namespace: str) -> list[UUID]:
    """The due cycles of a namespace, the oldest first."""
    return [
        row[0]
        for row in rows(
            "SELECT id FROM orbit_cyclerun WHERE namespace = %s ORDER BY next_due_at, id", namespace
        )
    ]


def expire_leases() -> None:
    """Let all leases end, as time does when their workers are gone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orbit_cyclerun SET lease_expires_at = now(), next_due_at = now()"
            " WHERE lease_owner IS NOT NULL"
        )


def test_the_oldest_are_claimed_first_and_equal_times_by_id() -> None:
    names = backlog.add_namespaces(2)
    backlog.add_cycles(20, names, age=60)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orbit_cyclerun SET next_due_at = now() WHERE namespace = %s", names[:1]
        )
    older, same = due_ids(names[1]), due_ids(names[0])
    assert {cycle.id for cycle in lease.claim(12)} == {*older, *same[:2]}


def test_a_cycle_behind_a_backlog_of_halted_namespaces_is_claimed_at_once() -> None:
    stopped, open_ = backlog.add_namespaces(5, "a"), backlog.add_namespaces(1, "b")
    backlog.add_cycles(10 * lease.LOOKS, stopped)
    backlog.add_cycles(3, open_, age=1)
    backlog.halt(stopped)
    first = due_ids("b00000")[0]
    assert [cycle.id for cycle in lease.claim(1)] == [first]
    assert {cycle.namespace for cycle in lease.claim(8)} == {"b00000"}
    assert lease.claim(8) == []


def test_it_is_found_among_thousands_of_open_namespaces_without_work() -> None:
    stopped = backlog.add_namespaces(1, "a")
    open_ = backlog.add_namespaces(25 * lease.NAMESPACES, "b")
    backlog.add_cycles(10 * lease.LOOKS, stopped)
    backlog.add_cycles(1, open_[-1:], age=1)
    backlog.halt(stopped)
    assert [cycle.namespace for cycle in lease.claim(8)] == open_[-1:]


def test_namespaces_take_turns_and_the_last_turn_is_followed_by_the_first() -> None:
    stopped = backlog.add_namespaces(1, "a")
    open_ = backlog.add_namespaces(3 * lease.NAMESPACES, "b")
    backlog.add_cycles(10 * lease.LOOKS, stopped)
    backlog.add_cycles(2, [open_[0], open_[-1]], age=1)
    backlog.halt(stopped)
    cursor = Cursor()
    cycles = [cycle for _ in range(2) for cycle in lease.claim(1, cursor=cursor)]
    assert {cycle.namespace for cycle in cycles} == {open_[0], open_[-1]}
    backlog.add_cycles(1, open_[:1], age=1)  # behind the cursor's namespace
    assert [cycle.namespace for cycle in lease.claim(1, cursor=cursor)] == open_[:1]


def test_a_namespace_that_an_outside_tool_created_is_found_too() -> None:
    stopped = backlog.add_namespaces(1, "a")
    backlog.add_cycles(2 * lease.LOOKS, stopped)
    Namespace.objects.create(name="outside")
    backlog.add_cycles(1, ["outside"], age=1)
    backlog.halt(stopped)
    assert registry.complete() == 1
    assert [cycle.namespace for cycle in lease.claim(8)] == ["outside"]
    assert registry.complete() == 0


def test_the_oldest_of_the_open_ones_come_first_behind_a_backlog() -> None:
    stopped, open_ = backlog.add_namespaces(1, "a"), backlog.add_namespaces(9, "b")
    backlog.add_cycles(2 * lease.LOOKS, stopped)
    for age, name in enumerate(open_):
        backlog.add_cycles(1, [name], age=10 + age)
    backlog.halt(stopped)
    assert {cycle.namespace for cycle in lease.claim(3)} == set(open_[-3:])


def test_a_few_in_front_and_more_behind_are_claimed_up_to_the_limit() -> None:
    stopped, open_ = backlog.add_namespaces(1, "a"), backlog.add_namespaces(2, "b")
    backlog.add_cycles(3, open_[:1], age=7200)
    backlog.add_cycles(2 * lease.LOOKS, stopped)
    backlog.add_cycles(20, open_, age=60)
    backlog.halt(stopped)
    in_front = set(due_ids(open_[0])[:3])
    cycles = lease.claim(8)
    assert len({cycle.id for cycle in cycles}) == len(cycles) == 8
    assert in_front <= {cycle.id for cycle in cycles}


def test_suspected_cycles_in_front_hold_up_no_other() -> None:
    names = backlog.add_namespaces(3)
    backlog.add_cycles(10 * lease.LOOKS, names[:2], resumes=ALONE_FROM)
    backlog.add_cycles(2, names[1:], age=1)
    assert {cycle.namespace for cycle in lease.claim(8)} == set(names[1:])


def test_workers_at_once_claim_each_cycle_once() -> None:
    stopped, open_ = backlog.add_namespaces(1, "a"), backlog.add_namespaces(7, "b")
    backlog.add_cycles(2 * lease.LOOKS, stopped)
    backlog.add_cycles(200, open_, age=60)
    backlog.halt(stopped)

    def work(_: int) -> list[UUID]:
        cursor, ids = Cursor(), []
        try:
            while cycles := lease.claim(3, cursor=cursor):
                ids += [cycle.id for cycle in cycles]
        finally:
            connection.close()
        return ids

    with ThreadPoolExecutor(4) as pool:
        ids = [id_ for taken in pool.map(work, range(4)) for id_ in taken]
    assert len(set(ids)) == len(ids)
    # What another worker was claiming at that moment is left to the next claim.
    ids += [cycle.id for cycle in lease.claim(200)]
    assert len(set(ids)) == len(ids) == 200


def test_a_cursor_skips_no_cycle_for_more_than_a_moment() -> None:
    names, cursor = backlog.add_namespaces(2), Cursor()
    backlog.add_cycles(1, names[:1], age=60)
    assert len(lease.claim(1, cursor=cursor)) == 1
    backlog.add_cycles(1, names[1:], age=600)  # as when a halt ends
    until(lambda: lease.claim(1, cursor=cursor), "the older cycle is never claimed")


def test_a_claim_under_way_holds_up_no_halt() -> None:
    names = backlog.add_namespaces(1)
    backlog.add_cycles(8, names)

    def halt() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '5s'")
            halts.halt(names[0], actor=SYSTEM)
        finally:
            connection.close()

    with transaction.atomic(), ThreadPoolExecutor(1) as pool:
        assert len(lease.claim(8)) == 8
        pool.submit(halt).result(60)
    assert lease.claim(8) == []


@pytest.mark.usefixtures("alone")
def test_one_suspected_cycle_runs_alone_at_a_time_the_oldest_first() -> None:
    names = backlog.add_namespaces(3)
    for age, name in enumerate(names):
        backlog.add_cycles(1, [name], age=60 + age, resumes=ALONE_FROM)
    assert lease.is_suspected_due()
    assert [cycle.namespace for cycle in lease.claim_alone()] == [names[2]]
    assert lease.claim_alone() == []
    assert lease.claim(8) == []
    expire_leases()  # its worker was killed
    assert [cycle.namespace for cycle in lease.claim_alone()] == [names[1]]


@pytest.mark.usefixtures("alone")
def test_of_processes_at_once_one_runs_a_suspected_cycle() -> None:
    backlog.add_cycles(8, backlog.add_namespaces(8), resumes=ALONE_FROM)
    barrier = threading.Barrier(6)

    def work(_: int) -> int:
        try:
            connection.ensure_connection()
            barrier.wait(60)
            return len(lease.claim_alone())
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(work, range(6))) == 1


@pytest.mark.usefixtures("alone")
def test_a_suspected_cycle_of_a_halted_namespace_waits_and_another_runs() -> None:
    names = backlog.add_namespaces(2)
    backlog.add_cycles(50, names[:1], resumes=ALONE_FROM)
    backlog.add_cycles(1, names[1:], age=1, resumes=ALONE_FROM)
    backlog.halt(names[:1])
    assert [cycle.namespace for cycle in lease.claim_alone()] == names[1:]
    backlog.halt(names)
    assert not lease.is_suspected_due()


@pytest.mark.usefixtures("alone")
def test_a_checkpoint_lifts_the_suspicion_at_once() -> None:
    configure_profiles()
    cycle_id = start_cycle()
    CycleRun.objects.filter(pk=cycle_id).update(resumes=ALONE_FROM)
    (cycle,) = lease.claim_alone()
    assert cycle.resumes == ALONE_FROM
    initiation.run(cycle)
    assert CycleRun.objects.get(pk=cycle_id).resumes == 0
    expire_leases()
    assert [claimed.id for claimed in lease.claim(8)] == [cycle_id]


def test_a_late_return_of_unstarted_cycles_spares_what_was_claimed_since() -> None:
    configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
    start_cycle("r1")
    (unstarted,) = lease.claim(1)
    asked_at = clock.read()
    start_cycle("r2")
    (claimed,) = lease.claim(1)
    assert lease.give_back_unstarted([], asked_at=asked_at) == 1
    held = CycleRun.objects.exclude(lease_owner=None).values_list("pk", flat=True)
    assert list(held) == [claimed.id]
    assert [cycle.id for cycle in lease.claim(1)] == [unstarted.id]
