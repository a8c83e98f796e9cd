"""Nightly work is one operation run per UTC day, however many clusters ask for it."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import pytest
from django.db import connection

from governance.models import OperationRun
from governance.operations import ledger
from governance.states import Outcome
from telemetry import nightly
from telemetry.models import NightlyRun

JOB = "telemetry.test"


def start() -> tuple[UUID | None, list[UUID]]:
    woken: list[UUID] = []
    return nightly.start(JOB, wake=woken.append), woken


@pytest.mark.django_db
def test_the_first_call_of_a_day_starts_the_run_and_wakes_it() -> None:
    run, woken = start()
    assert woken == [run]
    assert OperationRun.objects.get().pk == run
    assert NightlyRun.objects.get().operation_run_id == run
    assert start() == (None, [])


@pytest.mark.django_db
def test_a_run_that_is_active_counts_as_todays() -> None:
    active, _ = ledger.ensure_workspace_run_with_identity(JOB, {}, initiator="ann")
    assert start() == (active.pk, [])


@pytest.mark.django_db
def test_a_new_day_has_its_own_run() -> None:
    yesterday, _ = start()
    ledger.complete(OperationRun.objects.get(), Outcome.SUCCEEDED, {}, progress={})
    NightlyRun.objects.update(day="2026-01-01")
    today, woken = start()
    assert woken == [today]
    assert today != yesterday


def test_of_eight_processes_one_starts_the_run(committed: str) -> None:
    barrier = Barrier(8)

    def race(_: int) -> list[UUID]:
        try:
            barrier.wait(30)
            return start()[1]
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        woken = [run for runs in pool.map(race, range(8)) for run in runs]
    assert len(woken) == 1
    assert OperationRun.objects.count() == NightlyRun.objects.count() == 1
