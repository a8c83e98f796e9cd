"""Periodic work is one operation run in each interval, however many clusters ask for it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from uuid import UUID

import pytest
from django.db import OperationalError, connection

from governance.access.actors import SYSTEM
from governance.kernel import clock
from governance.kernel.identifiers import uuid7
from governance.models import OperationRun, PeriodicWork
from governance.operations import ledger, periodic, periodic_listing
from governance.operations.periodic import Work
from governance.states import Every, Outcome
from tests.support.pipeline import rows

TYPE = "ops.test"


def work(every: Every = Every.DAY) -> Work:
    return Work(TYPE, every, lambda slice_: None)


def start(every: Every = Every.DAY) -> list[UUID]:
    """Start what is due; return the runs that were woken."""
    woken: list[UUID] = []
    periodic.start_due([work(every)], wake=woken.append)
    return woken


def end_run(outcome: Outcome = Outcome.SUCCEEDED) -> None:
    ledger.complete(OperationRun.objects.get(finished_at=None), outcome, {}, progress={})


def make_due(ago: timedelta = timedelta(seconds=1)) -> None:
    PeriodicWork.objects.update(next_due_at=clock.read() - ago)


@pytest.mark.django_db
def test_the_first_call_starts_the_run_and_the_next_one_is_due_in_the_next_interval() -> None:
    [run] = start(Every.HOUR)
    assert OperationRun.objects.get().reason == periodic.REASON
    row = PeriodicWork.objects.get()
    assert (row.last_run_id, row.every, row.next_due_at.minute) == (run, "hour", 0)
    assert clock.read() < row.next_due_at <= clock.read() + timedelta(hours=1)
    assert start(Every.HOUR) == []


@pytest.mark.django_db
def test_a_run_that_is_active_counts_as_this_intervals() -> None:
    active, _ = ledger.ensure_workspace_run_with_identity(TYPE, {}, initiator="ann")
    assert start() == []
    assert PeriodicWork.objects.get().last_run_id == active.pk


@pytest.mark.django_db
def test_an_interval_that_was_missed_is_not_made_up_for() -> None:
    start(Every.MINUTE)
    end_run()
    make_due(timedelta(days=3))
    assert len(start(Every.MINUTE)) == 1
    end_run()
    assert start(Every.MINUTE) == []


@pytest.mark.django_db
def test_a_day_has_one_run_also_if_the_clock_was_set_back() -> None:
    start()
    end_run()
    make_due()  # as if today began again
    assert start() == []
    OperationRun.objects.update(created_at=clock.read() - timedelta(days=1))
    make_due()
    assert len(start()) == 1


@pytest.mark.django_db
def test_work_that_a_wrong_clock_put_years_ahead_is_due_in_the_next_interval() -> None:
    start(Every.HOUR)
    end_run()
    PeriodicWork.objects.update(next_due_at=datetime(2300, 1, 1, tzinfo=UTC))
    assert start(Every.HOUR) == []
    assert PeriodicWork.objects.get().next_due_at <= clock.read() + timedelta(hours=1)
    make_due()
    assert len(start(Every.HOUR)) == 1


@pytest.mark.django_db
def test_another_interval_counts_from_the_next_call_on() -> None:
    start(Every.DAY)
    end_run()
    start(Every.MINUTE)
    row = PeriodicWork.objects.get()
    assert (row.every, row.next_due_at <= clock.read() + timedelta(minutes=1)) == ("minute", True)


@pytest.mark.django_db
def test_hastened_work_is_due_now_once_for_all_that_began_before_its_run() -> None:
    start(Every.MINUTE)
    end_run()
    first, second = uuid7(), uuid7()  # two clusters that start together
    periodic.hasten(TYPE, since=first)
    assert len(start(Every.MINUTE)) == 1
    end_run()
    periodic.hasten(TYPE, since=second)
    assert start(Every.MINUTE) == []


def test_of_eight_processes_one_starts_the_run(committed: str) -> None:
    for _ in range(2):  # without a row, then with one that is due
        barrier = Barrier(8)

        def race(_: int, barrier: Barrier = barrier) -> list[UUID]:
            try:
                barrier.wait(30)
                return start(Every.MINUTE)
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as pool:
            woken = [run for runs in pool.map(race, range(8)) for run in runs]
        assert len(woken) == 1
        end_run()
        make_due()


@pytest.mark.usefixtures("committed")
def test_a_process_that_dies_before_its_commit_leaves_the_work_due() -> None:
    def die(_: UUID) -> None:
        rows("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(OperationalError):
        periodic.start_due([work()], wake=die)
    connection.close()
    assert not OperationRun.objects.exists()
    assert len(start()) == 1


@pytest.mark.django_db
def test_the_list_has_the_last_run_and_the_outcome_of_the_last_one_that_ended() -> None:
    start(Every.MINUTE)
    end_run(Outcome.FAILED)
    make_due()
    [run] = start(Every.MINUTE)
    [listed] = periodic_listing.read(SYSTEM)
    assert listed.last_run is not None
    assert (listed.type, listed.every, listed.last_run.pk) == (TYPE, "minute", run)
    assert (listed.last_run.outcome, listed.last_outcome) == (None, "failed")
