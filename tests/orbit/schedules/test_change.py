"""Overrides of schedules: permissions, how long they last, their audit entries."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django_q.models import Schedule as Row

from governance.access.actors import SYSTEM, NotAllowed
from governance.access.roles import Scope
from governance.models import AuditTrailEntry
from orbit.models import CronTick
from orbit.schedules import change, ledger
from orbit.schedules.change import ScheduleOff, ScheduleUnknown
from orbit.schedules.cron import CronInvalid
from orbit.schedules.plan import Schedule
from orbit.schedules.rows import CYCLES
from orbit.schedules.sync import RunProfileSchedules, sync
from tests.support.configuration import profile, run_profile, store_profiles

pytestmark = pytest.mark.django_db

WHY = {"actor": SYSTEM, "reason": "night"}


@pytest.fixture(autouse=True)
def cycles() -> None:
    sync([Schedule(CYCLES, "0 12 * * *", "UTC")])
    ledger.enqueue_due()


def row() -> tuple[str, int, Any]:
    [row] = Row.objects.filter(name=CYCLES).values_list("cron", "repeats", "next_run")
    return row


def entries() -> list[tuple[Any, Any, str]]:
    return list(
        AuditTrailEntry.objects.filter(action="schedule.changed")
        .order_by("id")
        .values_list("before", "after", "reason")
    )


def test_switching_off_and_on_is_audited_once_each() -> None:
    assert change.switch(CYCLES, on=False, **WHY)
    assert row() == ("0 12 * * *", 0, None)
    assert not change.switch(CYCLES, on=False, **WHY)
    assert change.switch(CYCLES, on=True, **WHY)
    assert row() == ("0 12 * * *", -1, None)
    on, off = {"on": True, "cron": "0 12 * * *"}, {"on": False, "cron": "0 12 * * *"}
    assert entries() == [(on, off, "night"), (off, on, "night")]


def test_a_schedule_that_is_off_stays_off_if_the_environment_changes_its_cron() -> None:
    change.switch(CYCLES, on=False, **WHY)
    sync([Schedule(CYCLES, "0 13 * * *", "UTC")])
    assert row()[:2] == ("0 13 * * *", 0)
    change.switch(CYCLES, on=True, **WHY)
    assert row()[:2] == ("0 13 * * *", -1)


def test_another_cron_runs_until_it_is_reset() -> None:
    assert change.set_cron(CYCLES, cron=" 5  5 * * *", **WHY)
    assert row()[:2] == ("5 5 * * *", -1)
    sync([Schedule(CYCLES, "0 12 * * *", "UTC")])
    assert row()[:2] == ("5 5 * * *", -1)
    assert not change.set_cron(CYCLES, cron="5 5 * * *", **WHY)
    assert change.set_cron(CYCLES, cron="", **WHY)
    assert row()[:2] == ("0 12 * * *", -1)
    assert len(entries()) == 2


def test_a_schedule_that_is_off_has_no_ticks_but_the_one_that_was_due_before() -> None:
    now = datetime.now(UTC)
    Row.objects.update(next_run=now - timedelta(seconds=1))
    change.switch(CYCLES, on=False, **WHY)
    assert CronTick.objects.count() == 1
    ledger.enqueue_due(now + timedelta(days=3))
    change.switch(CYCLES, on=True, **WHY)
    ledger.enqueue_due(now + timedelta(days=3))
    assert CronTick.objects.count() == 1


@pytest.mark.parametrize(
    "cron", ["rubbish", "0 0 30 2 *", "0 0 * * * *", "99 * * * *", "\x00 * * * *"]
)
def test_an_invalid_cron_is_refused_at_its_field_and_changes_nothing(cron: str) -> None:
    with pytest.raises(CronInvalid) as exc_info:
        change.set_cron(CYCLES, cron=cron, **WHY)
    assert exc_info.value.errors[0]["pointer"] == "/cron"
    assert (row()[0], entries()) == ("0 12 * * *", [])


def test_a_schedule_that_the_configuration_switches_off_cannot_be_switched_on() -> None:
    sync([Schedule(CYCLES, "", "UTC")])
    with pytest.raises(ScheduleOff):
        change.switch(CYCLES, on=True, **WHY)


def test_a_user_without_scope_or_namespace_changes_nothing() -> None:
    store_profiles(
        [profile()], [run_profile("a", namespace="eu", execution_policy={"cron": "0 6 * * *"})]
    )
    RunProfileSchedules("UTC").follow()
    reader = replace(SYSTEM, scopes=frozenset({Scope.READ, Scope.OPERATE}))
    with pytest.raises(NotAllowed):
        change.switch(CYCLES, on=False, actor=reader, reason="r")
    for namespace, name in (
        ("eu", CYCLES),
        ("us", "run-profile:a"),
        ("eu", "run-profile:unknown"),
        ("eu", "\x00"),
    ):
        with pytest.raises(ScheduleUnknown):
            change.switch(
                name, on=False, actor=replace(SYSTEM, namespaces=frozenset({namespace})), reason="r"
            )
    assert entries() == []
    assert change.switch(
        "run-profile:a", on=False, actor=replace(SYSTEM, namespaces=frozenset({"eu"})), reason="r"
    )
    assert AuditTrailEntry.objects.get(action="schedule.changed").namespace == "eu"
