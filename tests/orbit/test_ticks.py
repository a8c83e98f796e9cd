import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.db import connections, transaction
from django_q.models import OrmQ
from django_q.models import Schedule as Row

from governance.kernel.identifiers import uuid7
from orbit import queue, ticks
from orbit.models import CronTick, CycleRun
from orbit.states import Tick
from orbit.ticks import CronInvalid, Schedule
from tests.support.configuration import active_cycle, profile, run_profile, store
from tests.support.pipeline import rows

BERLIN = "Europe/Berlin"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def local(*parts: int, fold: int = 0) -> datetime:
    return datetime(*parts, tzinfo=ZoneInfo(BERLIN), fold=fold).astimezone(UTC)  # type: ignore[misc,arg-type]


def on_day(cron: str, begin: datetime, zone: str = BERLIN) -> list[datetime]:
    return list(takewhile(lambda moment: moment < begin + timedelta(hours=25), ticks.occurrences(cron, zone, begin - timedelta(seconds=1))))


@pytest.mark.parametrize("cron", ["", "* * * *", "0 * * * * *", "61 * * * *", "* * * * MON#9", "L/2 * * * *", "0 0 30 2 *", "@daily", "no cron at all !"])
def test_what_is_no_cron_of_five_fields_that_comes_true_is_refused(cron: str) -> None:
    with pytest.raises(CronInvalid):
        ticks.next_after(cron, "UTC", NOON)


def test_occurrences_follow_the_zone() -> None:
    assert ticks.next_after("0 6 * * *", BERLIN, NOON) == datetime(2026, 6, 2, 4, tzinfo=UTC)


def test_the_hour_that_is_missing_in_spring_fires_once_at_the_next_valid_minute() -> None:
    assert on_day("30 2 * * *", local(2026, 3, 29))[:1] == [local(2026, 3, 29, 3, 0)]
    assert len(on_day("30 2 * * *", local(2026, 3, 29))) == 1
    assert on_day("0-59 2 * * *", local(2026, 3, 29))[0] == local(2026, 3, 29, 3, 0)
    assert len([moment for moment in on_day("0-59 2 * * *", local(2026, 3, 29)) if moment < local(2026, 3, 30)]) == 1


def test_the_hour_that_comes_twice_in_autumn_fires_once_from_wherever_one_looks() -> None:
    first = local(2026, 10, 25, 2, 30, fold=0)
    assert [moment for moment in on_day("30 2 * * *", local(2026, 10, 25)) if moment < local(2026, 10, 26)] == [first]
    for minutes in range(0, 90, 10):
        after = first + timedelta(minutes=minutes)
        assert ticks.next_after("30 2 * * *", BERLIN, after) == local(2026, 10, 26, 2, 30)


def test_every_real_half_hour_counts_where_there_is_a_star() -> None:
    begin = local(2026, 10, 25)
    halves = [moment for moment in on_day("*/30 * * * *", begin) if moment < local(2026, 10, 26)]
    assert halves == [begin + timedelta(minutes=30 * step) for step in range(50)]
    begin = local(2026, 3, 29)
    assert len([moment for moment in on_day("*/30 * * * *", begin) if moment < local(2026, 3, 30)]) == 46


def test_the_key_is_the_local_time_with_fixed_hours_and_the_instant_with_a_star() -> None:
    first, second = local(2026, 10, 25, 2, 30, fold=0), local(2026, 10, 25, 2, 30, fold=1)
    assert ticks.tick_key("30 2 * * *", BERLIN, first) == ticks.tick_key("30 2 * * *", BERLIN, second) == "2026-10-25T02:30"
    assert [ticks.tick_key("*/30 * * * *", BERLIN, moment) for moment in (first, second)] == ["2026-10-25T00:30Z", "2026-10-25T01:30Z"]
    assert ticks.tick_key("30 * * * *", BERLIN, first).endswith("Z")


@pytest.mark.parametrize("zone", [BERLIN, "America/New_York", "Africa/Cairo", "Australia/Lord_Howe"])
@pytest.mark.parametrize("cron", ["30 2 * * *", "0 0 * * *", "*/20 * * * *", "15 */3 * * *", "0 1,2,3 * * 0"])
def test_no_two_ticks_of_a_year_share_a_key_or_go_back(cron: str, zone: str) -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    moments = list(takewhile(lambda moment: moment < begin + timedelta(days=365), ticks.occurrences(cron, zone, begin)))
    assert moments == sorted(set(moments))
    assert len({ticks.tick_key(cron, zone, moment) for moment in moments}) == len(moments) > 51


def minutely(**members: Any) -> Schedule:
    return Schedule("s", "* * * * *", "UTC", **members)


def outcomes(schedule: Schedule, first: datetime, now: datetime) -> list[tuple[datetime, Tick]]:
    return [(row.due_at, row.outcome) for row in ticks.plan(schedule, first, now)]


def test_a_tick_on_time_is_due_and_no_catch_up() -> None:
    [row] = ticks.plan(minutely(), NOON, NOON + timedelta(seconds=2))
    assert (row.outcome, row.due_at, "catch_up" in row.detail) == (Tick.DUE, NOON, False)


def test_after_an_outage_the_newest_runs_as_catch_up_and_those_before_were_missed() -> None:
    rows = ticks.plan(minutely(), NOON, NOON + timedelta(minutes=3, seconds=30))
    assert [(row.due_at.minute, row.outcome) for row in rows] == [(0, Tick.MISSED), (1, Tick.MISSED), (2, Tick.MISSED), (3, Tick.DUE)]
    assert rows[-1].detail["catch_up"] is True
    assert rows[-1].detail["late_seconds"] == 30


def test_a_hundred_missed_ticks_have_a_row_each_and_more_have_one_from_to() -> None:
    assert len(ticks.plan(minutely(), NOON, NOON + timedelta(minutes=100))) == 101
    span, newest = ticks.plan(minutely(), NOON, NOON + timedelta(minutes=101))
    assert (span.outcome, newest.outcome, newest.due_at) == (Tick.MISSED, Tick.DUE, NOON + timedelta(minutes=101))
    assert (span.detail["from"], span.detail["until"]) == (NOON.isoformat(), newest.due_at.isoformat())
    assert len(span.key) <= 40


def test_an_outage_of_ten_years_is_planned_in_no_time() -> None:
    began = time.monotonic()
    for cron in ("* * * * *", "0 0 * * *", "59 23 31 12 *"):
        newest = ticks.plan(Schedule("s", cron, BERLIN), NOON - timedelta(days=3653), NOON)[-1]
        assert NOON - timedelta(days=366) < newest.due_at <= NOON
        assert ticks.next_after(cron, BERLIN, newest.due_at) > NOON
    assert time.monotonic() - began < 2


def test_a_tick_later_than_allowed_is_late_and_one_of_a_schedule_that_skips_is_missed() -> None:
    daily = Schedule("s", "0 12 * * *", "UTC", max_lateness=600)
    assert outcomes(daily, NOON, NOON + timedelta(seconds=600)) == [(NOON, Tick.DUE)]
    assert outcomes(daily, NOON, NOON + timedelta(seconds=601)) == [(NOON, Tick.LATE)]
    assert outcomes(minutely(on_missed="skip"), NOON, NOON + timedelta(seconds=59)) == [(NOON, Tick.DUE)]
    assert outcomes(Schedule("s", "0 12 * * *", "UTC", on_missed="skip"), NOON, NOON + timedelta(seconds=61)) == [(NOON, Tick.MISSED)]


def test_the_tick_of_autumns_hour_is_found_again_after_an_outage_that_ends_inside_it() -> None:
    schedule = Schedule("s", "30 2 * * *", BERLIN)
    newest = ticks.plan(schedule, local(2026, 1, 1, 2, 30), local(2026, 10, 25, 2, 10, fold=1))[-1]
    assert newest.key == "2026-10-25T02:30"


# The rows.


def asked(cron: str = "0 12 * * *", **members: Any) -> Schedule:
    return Schedule(ticks.CYCLES, cron, "UTC", **members)


def the_row() -> tuple[str, int, Any]:
    [row] = Row.objects.filter(func=queue.TICK).values_list("cron", "repeats", "next_run")
    return row  # type: ignore[return-value]


def due_at(moment: datetime, name: str = ticks.CYCLES, schedule: Schedule | None = None) -> None:
    """Have a schedule whose next run is ``moment``."""
    schedule = schedule or asked()
    Row.objects.create(name=name, func=queue.TICK, schedule_type="O", cron=schedule.cron, next_run=moment,
                       kwargs=json.dumps({"name": name, "cron": schedule.cron, "time_zone": "UTC", "on_missed": "once", "max_lateness": 3600}))


@pytest.mark.django_db
def test_a_schedule_is_made_as_the_environment_asks_and_gets_its_next_run_from_the_keeper() -> None:
    ticks.sync([asked()])
    assert the_row() == ("0 12 * * *", -1, None)
    assert ticks.enqueue_due(NOON - timedelta(hours=1)) == []
    assert the_row()[2] == NOON
    assert not CronTick.objects.exists()


@pytest.mark.django_db
def test_what_a_person_changed_stays_until_the_environment_asks_for_something_else() -> None:
    ticks.sync([asked()])
    Row.objects.update(cron="5 5 * * *", repeats=0)
    ticks.sync([asked()])
    assert the_row()[:2] == ("5 5 * * *", 0)
    ticks.sync([asked(max_lateness=60)])
    assert the_row()[:2] == ("5 5 * * *", 0)
    ticks.sync([asked("0 13 * * *")])
    assert the_row()[:2] == ("0 13 * * *", -1)


@pytest.mark.django_db
def test_an_empty_cron_switches_off_and_another_zone_reckons_anew() -> None:
    ticks.sync([asked()])
    ticks.enqueue_due(NOON - timedelta(hours=1))
    ticks.sync([Schedule(ticks.CYCLES, "0 12 * * *", BERLIN)])
    ticks.enqueue_due(NOON - timedelta(hours=3))
    assert the_row()[2] == NOON - timedelta(hours=2)
    ticks.sync([asked("")])
    assert the_row()[:2] == ("", 0)
    assert ticks.enqueue_due(NOON) == []
    assert not CronTick.objects.exists()


@pytest.mark.django_db
def test_a_due_tick_is_one_row_and_one_task_and_the_schedule_moves_on() -> None:
    due_at(NOON)
    ticks.enqueue_due(NOON - timedelta(seconds=1))
    assert not CronTick.objects.exists()
    for _ in range(3):
        ticks.enqueue_due(NOON + timedelta(seconds=1))
    tick = CronTick.objects.get()
    assert (tick.schedule, tick.tick_key, tick.due_at, tick.outcome) == (ticks.CYCLES, "2026-06-01T12:00", NOON, "due")
    assert OrmQ.objects.get().task["args"] == (str(tick.id),)
    assert the_row()[2] == NOON + timedelta(days=1)


@pytest.mark.django_db
def test_a_tick_that_is_in_the_ledger_is_not_enqueued_again() -> None:
    due_at(NOON)
    ticks.enqueue_due(NOON)
    Row.objects.update(next_run=NOON)
    assert ticks.enqueue_due(NOON) == []
    assert the_row()[2] == NOON + timedelta(days=1)
    assert (CronTick.objects.count(), OrmQ.objects.count()) == (1, 1)


def side_by_side(number: int, act: Callable[[], object]) -> None:
    barrier = threading.Barrier(number)

    def run() -> None:
        try:
            barrier.wait()
            for _ in range(3):
                act()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_four_keepers_at_once_write_each_tick_once(committed: str) -> None:
    for number in range(20):
        due_at(NOON, f"s{number}")
    side_by_side(4, lambda: ticks.enqueue_due(NOON))
    assert (CronTick.objects.count(), OrmQ.objects.count()) == (20, 20)


def test_a_schedule_that_another_keeper_is_at_is_not_waited_for(committed: str) -> None:
    due_at(NOON, "held")
    due_at(NOON, "free")
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT 1 FROM django_q_schedule WHERE name = 'held' FOR UPDATE")
            rows("SELECT set_config('statement_timeout', '2s', false)")
            assert ticks.enqueue_due(NOON) == []
            assert list(CronTick.objects.values_list("schedule", flat=True)) == ["free"]
            cursor.execute("ROLLBACK")
    finally:
        other.close()
    ticks.enqueue_due(NOON)
    assert CronTick.objects.filter(schedule="held").exists()


def test_keepers_that_start_at_once_make_one_row(committed: str) -> None:
    second = threading.Thread(target=lambda: (ticks.sync([asked()]), connections.close_all()))
    with transaction.atomic():
        ticks.sync([asked()])
        second.start()
        second.join(0.5)
        assert second.is_alive()
    second.join(10)
    assert Row.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("damage", ["cron = 'rubbish'", "cron = NULL", "cron = '0 0 30 2 *'", "kwargs = NULL", "kwargs = '3'", "kwargs = 'foo('", "name = NULL",
                                    """kwargs = '{"name": "x", "cron": "", "time_zone": "Mars/Olympus"}'"""])
def test_a_broken_row_is_reported_and_stops_no_other(damage: str) -> None:
    due_at(NOON, "broken")
    due_at(NOON, "sound")
    rows(f"UPDATE django_q_schedule SET {damage} WHERE name = 'broken' RETURNING 1")
    [line] = ticks.enqueue_due(NOON)
    assert "can't be run" in line
    assert list(CronTick.objects.values_list("schedule", flat=True)) == ["sound"]


@pytest.mark.django_db
def test_times_that_no_calendar_holds_stop_nothing() -> None:
    due_at(NOON, "sound")
    for name, moment in (("past", "-infinity"), ("future", "infinity")):
        due_at(NOON, name)
        rows("UPDATE django_q_schedule SET next_run = %s WHERE name = %s RETURNING 1", moment, name)
    assert ticks.enqueue_due(NOON) == []
    assert CronTick.objects.filter(schedule="sound", outcome="due").exists()
    assert set(CronTick.objects.filter(schedule="past").values_list("outcome", flat=True)) == {"missed", "due"}
    assert not CronTick.objects.filter(schedule="future").exists()


@pytest.mark.django_db
def test_a_tick_whose_task_was_lost_is_enqueued_again_every_ten_seconds() -> None:
    now = datetime.now(UTC)
    due_at(now)
    ticks.enqueue_due(now)
    OrmQ.objects.all().delete()
    assert ticks.enqueue_lost(now + timedelta(seconds=9)) == 0
    assert [ticks.enqueue_lost(now + timedelta(seconds=seconds)) for seconds in (11, 12, 20, 22)] == [1, 0, 0, 1]
    assert {row.task["args"] for row in OrmQ.objects.all()} == {(str(CronTick.objects.get().id),)}


# What a tick does.


def tick(schedule: str = ticks.CYCLES, **detail: Any) -> UUID:
    made = CronTick.objects.create(id=uuid7(), schedule=schedule, tick_key="k", due_at=NOON, outcome="due", detail=detail)
    return made.id


def verdict() -> tuple[str, dict[str, Any]]:
    made = CronTick.objects.get()
    return made.outcome, made.detail


@pytest.mark.django_db
def test_without_run_profiles_the_tick_starts_one_raw_cycle_in_default_once() -> None:
    made = tick()
    for _ in range(3):
        ticks.perform(made)
    cycle = CycleRun.objects.get()
    assert (cycle.namespace_id, cycle.trigger, cycle.run_profile_id) == ("default", "cron", None)
    assert verdict() == ("started", {"cycle_run_id": str(cycle.id)})
    assert CronTick.objects.get().decided_at is not None


@pytest.mark.django_db
def test_with_an_active_cycle_the_tick_is_skipped_and_says_which() -> None:
    active = active_cycle()
    ticks.perform(tick())
    outcome, detail = verdict()
    assert (outcome, detail["code"], detail["active_cycle_run_id"]) == ("skipped", "cycle_active", str(active.id))


@pytest.mark.django_db
def test_a_paused_process_refuses_the_tick(settings: Any) -> None:
    settings.ORBIT_GLOBAL_PAUSE = True
    ticks.perform(tick())
    outcome, detail = verdict()
    assert (outcome, detail["code"]) == ("refused", "globally_paused")
    assert not CycleRun.objects.exists()


@pytest.mark.django_db
def test_with_run_profiles_the_tick_starts_each_that_has_no_cron_of_its_own() -> None:
    store([profile("p")], [run_profile("a", "p", "a"), run_profile("b", "p", "b"), run_profile("c", "p", "c", execution_policy={"cron": "0 0 * * *"})])
    active_cycle("b")
    ticks.perform(tick())
    outcome, detail = verdict()
    assert outcome == "started"
    assert [(one["run_profile_id"], one["outcome"]) for one in detail["results"]] == [("a", "started"), ("b", "skipped")]
    assert CycleRun.objects.filter(trigger="cron").count() == 1


@pytest.mark.django_db
def test_a_tick_whose_time_is_over_is_late_and_starts_nothing() -> None:
    made = tick(expires_at=(NOON + timedelta(hours=1)).isoformat())
    ticks.perform(made, now=NOON + timedelta(hours=1, seconds=1))
    assert verdict()[0] == "late"
    assert not CycleRun.objects.exists()


@pytest.mark.django_db
def test_a_tick_of_a_schedule_that_only_a_newer_release_knows_is_left_to_it() -> None:
    ticks.perform(tick("from-the-future"))
    assert verdict()[0] == "due"


def test_a_tick_that_two_workers_perform_at_once_starts_one_cycle(committed: str) -> None:
    made = tick()
    side_by_side(4, lambda: ticks.perform(made))
    assert CycleRun.objects.count() == 1
    assert verdict()[0] == "started"
    assert not rows("SELECT 1 FROM orbit_executionrecord WHERE event = 'cycle_skipped'")


def test_a_year_of_ticks_is_walked_without_a_gap() -> None:
    moments = list(islice(ticks.occurrences("0 6 * * *", BERLIN, NOON), 365))
    assert {(moment.astimezone(ZoneInfo(BERLIN)).hour) for moment in moments} == {6}
    assert moments[-1] - moments[0] == timedelta(days=364)
