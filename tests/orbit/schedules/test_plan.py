"""What became of the ticks since the last look."""

import time
from datetime import datetime, timedelta
from typing import Any

from orbit.schedules import plan as ticks
from orbit.schedules.cron import next_after
from orbit.schedules.plan import Schedule
from orbit.states import Tick
from tests.orbit.schedules.test_cron import BERLIN, NOON, local


def minutely(**members: Any) -> Schedule:
    return Schedule("s", "* * * * *", "UTC", **members)


def outcomes(schedule: Schedule, first: datetime, now: datetime) -> list[tuple[datetime, Tick]]:
    return [(row.due_at, row.outcome) for row in ticks.plan(schedule, first, now)]


def test_a_tick_on_time_is_due_and_no_catch_up() -> None:
    [row] = ticks.plan(minutely(), NOON, NOON + timedelta(seconds=2))
    assert (row.outcome, row.due_at, "catch_up" in row.detail) == (Tick.DUE, NOON, False)


def test_after_an_outage_the_newest_runs_as_catch_up_and_those_before_were_missed() -> None:
    rows = ticks.plan(minutely(), NOON, NOON + timedelta(minutes=3, seconds=30))
    assert [(row.due_at.minute, row.outcome) for row in rows] == [
        (0, Tick.MISSED),
        (1, Tick.MISSED),
        (2, Tick.MISSED),
        (3, Tick.DUE),
    ]
    assert rows[-1].detail["catch_up"] is True
    assert rows[-1].detail["late_seconds"] == 30


def test_a_hundred_missed_ticks_have_a_row_each_and_more_have_one_from_to() -> None:
    assert len(ticks.plan(minutely(), NOON, NOON + timedelta(minutes=100))) == 101
    span, newest = ticks.plan(minutely(), NOON, NOON + timedelta(minutes=101))
    assert (span.outcome, newest.outcome, newest.due_at) == (
        Tick.MISSED,
        Tick.DUE,
        NOON + timedelta(minutes=101),
    )
    assert (span.detail["from"], span.detail["until"]) == (
        NOON.isoformat(),
        newest.due_at.isoformat(),
    )
    assert len(span.key) <= 40


def test_an_outage_of_ten_years_is_planned_quickly() -> None:
    began = time.thread_time()
    for cron in ("* * * * *", "0 0 * * *", "59 23 31 12 *"):
        newest = ticks.plan(Schedule("s", cron, BERLIN), NOON - timedelta(days=3653), NOON)[-1]
        assert NOON - timedelta(days=366) < newest.due_at <= NOON
        assert next_after(cron, BERLIN, newest.due_at) > NOON
    assert time.thread_time() - began < 10  # walking through the minutes takes minutes


def test_a_tick_later_than_allowed_is_late_and_one_of_a_schedule_that_skips_is_missed() -> None:
    daily = Schedule("s", "0 12 * * *", "UTC", max_lateness=600)
    assert outcomes(daily, NOON, NOON + timedelta(seconds=600)) == [(NOON, Tick.DUE)]
    assert outcomes(daily, NOON, NOON + timedelta(seconds=601)) == [(NOON, Tick.LATE)]
    assert outcomes(minutely(on_missed="skip"), NOON, NOON + timedelta(seconds=59)) == [
        (NOON, Tick.DUE)
    ]
    assert outcomes(
        Schedule("s", "0 12 * * *", "UTC", on_missed="skip"), NOON, NOON + timedelta(seconds=61)
    ) == [(NOON, Tick.MISSED)]


def test_the_tick_of_autumns_hour_is_found_again_after_an_outage_that_ends_inside_it() -> None:
    schedule = Schedule("s", "30 2 * * *", BERLIN)
    newest = ticks.plan(schedule, local(2026, 1, 1, 2, 30), local(2026, 10, 25, 2, 10, fold=1))[-1]
    assert newest.key == "2026-10-25T02:30"


def test_a_missed_tick_names_the_time_without_a_cluster() -> None:
    now = NOON + timedelta(minutes=2, seconds=30)
    for row in ticks.plan(minutely(on_missed="skip"), NOON, now):
        assert row.outcome == Tick.MISSED
        assert (row.detail["no_cluster_from"], row.detail["no_cluster_until"]) == (
            NOON.isoformat(),
            now.isoformat(),
        )
