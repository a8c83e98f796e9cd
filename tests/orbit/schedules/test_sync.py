"""The rows follow the environment and the run profiles, and keep users' overrides."""

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django_q.models import Schedule as Row

from orbit import queue
from orbit.models import CronTick, RunProfile
from orbit.schedules import ledger, rows
from orbit.schedules import sync as syncing
from orbit.schedules.plan import Schedule
from orbit.schedules.rows import CYCLES, ScheduleOverride
from orbit.schedules.sync import RunProfileSchedules, sync
from tests.orbit.schedules.test_cron import BERLIN, NOON
from tests.support import pipeline
from tests.support.configuration import profile, run_profile, store_profiles
from tests.support.polling import until


def configured(cron: str = "0 12 * * *", **members: Any) -> Schedule:
    return Schedule(CYCLES, cron, "UTC", **members)


def the_row() -> tuple[str, int, Any]:
    [row] = Row.objects.filter(func=queue.TICK).values_list("cron", "repeats", "next_run")
    return row  # type: ignore[return-value]


@pytest.mark.django_db
def test_a_schedule_is_made_as_the_environment_asks_and_gets_its_next_run_later() -> None:
    sync([configured()])
    assert the_row() == ("0 12 * * *", -1, None)
    assert ledger.enqueue_due(NOON - timedelta(hours=1)) == []
    assert the_row()[2] == NOON
    assert not CronTick.objects.exists()


@pytest.mark.django_db
def test_a_row_of_another_program_that_has_the_same_name_is_left_alone() -> None:
    theirs = Row.objects.create(name=CYCLES, func="other.task", schedule_type="O", cron="1 1 * * *")
    sync([configured()])
    sync([configured("0 13 * * *")])
    assert the_row()[:2] == ("0 13 * * *", -1)
    theirs.refresh_from_db()
    assert (theirs.func, theirs.cron) == ("other.task", "1 1 * * *")


@pytest.mark.django_db
def test_the_change_of_a_user_stays_until_the_environment_changes() -> None:
    sync([configured()])
    Row.objects.update(cron="5 5 * * *", repeats=0)
    sync([configured()])
    assert the_row()[:2] == ("5 5 * * *", 0)
    sync([configured(max_lateness=60)])
    assert the_row()[:2] == ("5 5 * * *", 0)
    sync([configured("0 13 * * *")])
    assert the_row()[:2] == ("0 13 * * *", -1)


@pytest.mark.django_db
def test_an_empty_cron_switches_off_and_another_zone_recomputes_the_next_run() -> None:
    sync([configured()])
    ledger.enqueue_due(NOON - timedelta(hours=1))
    sync([Schedule(CYCLES, "0 12 * * *", BERLIN)], now=NOON - timedelta(hours=1))
    ledger.enqueue_due(NOON - timedelta(hours=3))
    assert the_row()[2] == NOON - timedelta(hours=2)
    sync([configured("")], now=NOON - timedelta(hours=3))
    assert the_row()[:2] == ("", 0)
    assert ledger.enqueue_due(NOON) == []
    assert not CronTick.objects.exists()


def test_processes_that_start_at_once_make_one_row(committed: str) -> None:
    second = threading.Thread(target=lambda: (sync([configured()]), connections.close_all()))
    with transaction.atomic():
        sync([configured()])
        second.start()
        until(
            lambda: pipeline.rows(
                "SELECT 1 FROM pg_locks AS waiting JOIN pg_locks AS held USING (pid) "
                "WHERE NOT waiting.granted AND held.database = "
                "(SELECT oid FROM pg_database WHERE datname = current_database())"
            ),
            "the second process doesn't wait",
        )
    second.join(60)
    assert Row.objects.count() == 1


# What is due before a change, is in the ledger before it.


@pytest.mark.django_db
def test_a_tick_that_was_due_when_the_configuration_changed_is_in_the_ledger() -> None:
    sync([configured()])
    Row.objects.update(next_run=NOON)
    sync([configured("0 13 * * *")], now=NOON + timedelta(seconds=1))
    assert CronTick.objects.get().due_at == NOON
    assert the_row() == ("0 13 * * *", -1, None)


# Run profiles.


def of(name: str) -> Row:
    return Row.objects.get(name=f"run-profile:{name}")


def cron(**policy: Any) -> dict[str, Any]:
    return {"execution_policy": {"cron": "0 6 * * *", **policy}}


@pytest.fixture
def follower() -> RunProfileSchedules:
    return RunProfileSchedules("America/New_York")


@pytest.mark.django_db
def test_each_enabled_run_profile_with_a_cron_has_a_schedule_of_its_own(
    follower: RunProfileSchedules,
) -> None:
    store_profiles(
        [profile(), profile("off", state="disabled")],
        [
            run_profile("a", **cron(time_zone=BERLIN, on_missed="skip", max_lateness=60)),
            run_profile("b", **cron()),
            run_profile("c"),
            run_profile("d", state="disabled", **cron()),
            run_profile("e", "off", **cron()),
        ],
    )
    follower.follow()
    assert set(Row.objects.values_list("name", flat=True)) == {"run-profile:a", "run-profile:b"}
    first, second = (
        rows.parse(row.id, row.name, row.cron, row.repeats, row.next_run, row.kwargs).schedule
        for row in (of("a"), of("b"))
    )
    assert first == Schedule("run-profile:a", "0 6 * * *", BERLIN, "skip", 60)
    assert second == Schedule("run-profile:b", "0 6 * * *", "America/New_York", "once", 3600)


@pytest.mark.django_db
def test_a_profile_that_is_disabled_switches_off_the_schedules_of_its_run_profiles(
    follower: RunProfileSchedules,
) -> None:
    store_profiles([profile()], [run_profile("a", **cron())])
    follower.follow()
    assert of("a").repeats == -1
    store_profiles([profile(state="disabled")], [])  # the run profile itself doesn't change
    follower.follow()
    assert of("a").repeats == 0


@pytest.mark.django_db
def test_rows_follow_hot_and_history_stays(follower: RunProfileSchedules) -> None:
    store_profiles([profile()], [run_profile("a", **cron())])
    follower.follow()
    ledger.enqueue_due()
    store_profiles([], [run_profile("a", **cron(cron="30 7 * * *"))])
    follower.follow()
    assert (of("a").cron, of("a").repeats, of("a").next_run) == ("30 7 * * *", -1, None)
    for change in ({"state": "disabled"}, {"execution_policy": {}}):
        store_profiles([], [run_profile("a", **{**cron(), **change})])
        follower.follow()
        assert of("a").repeats == 0
        store_profiles([], [run_profile("a", **cron())])
        follower.follow()
        assert (of("a").cron, of("a").repeats) == ("0 6 * * *", -1)
    RunProfile.objects.update(hidden=True)
    follower.follow()
    assert of("a").repeats == 0
    RunProfile.objects.update(hidden=False)
    store_profiles([profile(state="disabled")], [])
    follower.follow()
    assert of("a").repeats == 0


@pytest.mark.django_db
def test_while_nothing_changes_a_look_is_one_statement(follower: RunProfileSchedules) -> None:
    store_profiles([profile()], [run_profile("a", **cron())])
    follower.follow()
    with CaptureQueriesContext(connection) as captured:
        follower.follow()
    assert len(captured) == 1


@pytest.mark.django_db
def test_a_lost_row_comes_again_though_no_run_profile_changed(
    follower: RunProfileSchedules,
) -> None:
    store_profiles([profile()], [run_profile("a", **cron()), run_profile("b", **cron())])
    follower.follow()
    follower.follow()
    of("a").delete()
    follower.follow()
    assert of("a").repeats == -1
    RunProfile.objects.update(hidden=True)
    follower.follow()
    Row.objects.filter(name="run-profile:b").update(repeats=-1, cron="0 6 * * *", kwargs="{}")
    follower.follow()
    assert of("b").repeats == 0  # a lost change of the row too


@pytest.mark.django_db
def test_after_a_minute_every_row_is_looked_at(
    follower: RunProfileSchedules, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_profiles([profile()], [run_profile("a", **cron())])
    monkeypatch.setattr(syncing, "LOOK_AGAIN_SECONDS", 0.0)
    follower.follow()
    with CaptureQueriesContext(connection) as captured:
        follower.follow()
    assert any("execution_policy,cron" in query["sql"] for query in captured)


@pytest.mark.django_db
def test_more_than_a_look_takes_follow_at_the_next_ones(
    follower: RunProfileSchedules, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncing, "MOST_AT_ONCE", 3)
    store_profiles([profile()], [run_profile(f"r{number}", **cron()) for number in range(7)])
    counts = []
    for _ in range(4):
        follower.follow()
        counts.append(Row.objects.count())
    assert counts == [3, 6, 7, 7]


def change(**members: Any) -> ScheduleOverride:
    return ScheduleOverride(
        **{
            "off": False,
            "cron": "",
            "over": "0 12 * * *",
            "by": "ann",
            "reason": "r",
            "since": "2026-01-01T00:00:00+00:00",
            **members,
        }
    )


def reconciled(
    configured_now: Schedule, override: ScheduleOverride | None, before: Schedule | None = None
) -> tuple[str, int] | None:
    before = before or configured()
    columns = rows.columns(before, override)
    columns_now = rows.reconcile(
        configured_now,
        rows.parse(1, CYCLES, columns["cron"], columns["repeats"], None, columns["kwargs"]),
    )
    return None if columns_now is None else (columns_now["cron"], columns_now["repeats"])


def test_a_schedule_that_a_user_switched_off_stays_off_until_it_is_switched_on() -> None:
    off = change(off=True)
    assert reconciled(configured(), off) is None
    assert reconciled(configured("0 13 * * *"), off) == ("0 13 * * *", 0)
    assert reconciled(configured(""), off) == ("", 0)
    assert reconciled(configured(), replace(off, over="0 12 * * *"), before=configured("")) == (
        "0 12 * * *",
        0,
    )


def test_the_cron_of_a_user_stays_until_the_configuration_changes() -> None:
    own = change(cron="5 5 * * *")
    assert reconciled(configured(max_lateness=60), own) == ("5 5 * * *", -1)
    assert reconciled(configured(""), own) == ("", 0)
    assert reconciled(configured(), own, before=configured("")) == ("5 5 * * *", -1)
    assert reconciled(configured("0 13 * * *"), own) == ("0 13 * * *", -1)
    assert reconciled(configured("0 13 * * *"), replace(own, off=True)) == ("0 13 * * *", 0)
