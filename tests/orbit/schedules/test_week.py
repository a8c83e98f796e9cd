"""A week of schedules, and the notes on clocks that change."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from governance.access.actors import SYSTEM
from governance.kernel.identifiers import uuid7
from governance.namespaces import halts
from orbit.models import CronTick
from orbit.schedules import clock_changes, ledger, listing
from orbit.schedules.plan import Schedule
from orbit.schedules.sync import RunProfileSchedules, sync
from orbit.schedules.week import Mark, Week, week
from tests.support.configuration import active_cycle, profile, run_profile, store_profiles
from tests.support.pipeline import rows

BERLIN = "Europe/Berlin"
AUTUMN = datetime(2026, 10, 19, tzinfo=UTC), datetime(2026, 10, 26, tzinfo=UTC)
SPRING = datetime(2026, 3, 23, tzinfo=UTC), datetime(2026, 3, 30, tzinfo=UTC)
NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)


def schedule(cron: str, name: str = "r", zone: str = BERLIN) -> Schedule:
    return Schedule(name, cron, zone)


def test_a_time_that_happens_twice_runs_once() -> None:
    assert clock_changes.notes(
        [schedule("30 2 * * *", "a"), schedule("30 2 * * *", "b")], *AUTUMN
    ) == ["02:30 happens twice on Sunday 25 October (Europe/Berlin): a, b run once."]


def test_a_schedule_of_each_hour_runs_in_both_hours() -> None:
    assert clock_changes.notes([schedule("0 * * * *")], *AUTUMN) == [
        "02:00 happens twice on Sunday 25 October (Europe/Berlin): r runs twice."
    ]


def test_a_time_that_does_not_exist_runs_at_the_next_one() -> None:
    assert clock_changes.notes([schedule("30 2 * * *")], *SPRING) == [
        "02:30 doesn't exist on Sunday 29 March (Europe/Berlin): r runs at 03:00."
    ]


@pytest.mark.parametrize(
    ("cron", "zone"),
    [("0 6 * * *", BERLIN), ("30 2 * * *", "UTC"), ("30 2 * * 1", BERLIN), ("*/5 * * * *", "UTC")],
)
def test_other_times_need_no_note(cron: str, zone: str) -> None:
    assert clock_changes.notes([schedule(cron, zone=zone)], *AUTUMN) == []


@pytest.fixture
def scheduled(db: Any) -> None:
    """Schedule ``a`` at 06:00 in Berlin and ``b`` every five minutes."""
    sync([])
    store_profiles(
        [profile()],
        [
            run_profile("a", namespace="eu", execution_policy={"cron": "0 6 * * *"}),
            run_profile("b", namespace="us", execution_policy={"cron": "*/5 * * * *"}),
        ],
    )
    RunProfileSchedules(BERLIN).follow()
    ledger.enqueue_due(NOW)
    rows("UPDATE django_q_schedule SET next_run = %s RETURNING 1", NOW + timedelta(minutes=5))


def tick(name: str, due: datetime, outcome: str, **detail: Any) -> CronTick:
    return CronTick.objects.create(
        id=uuid7(),
        schedule=f"run-profile:{name}",
        tick_key=f"{due:%Y-%m-%dT%H:%M}",
        due_at=due,
        outcome=outcome,
        detail=detail,
    )


def week_of(day: date | None = None, namespace: str | None = None) -> Week:
    visible = listing.schedules(SYSTEM, namespace=namespace)
    return week([listing.summarize(row, NOW) for row in visible], day, now=NOW)


def marks(of: Week) -> list[Mark]:
    return [mark for _, cells in of.hours for cell in cells for mark in cell.marks]


def test_past_ticks_have_outcomes_and_the_next_ones_are_to_come(scheduled: None) -> None:
    cycle = active_cycle("eu")
    tick("a", datetime(2026, 11, 23, 5, tzinfo=UTC), "started", cycle_run_id="1")
    tick("a", datetime(2026, 11, 24, 5, tzinfo=UTC), "skipped", detail=f"{cycle.pk} is running.")
    own = week_of(namespace="eu")
    assert [(mark.at.day, mark.outcome) for mark in marks(own)] == [
        (23, "started"),
        (24, "skipped"),
        *((day, "coming") for day in range(26, 30)),
    ]
    (trouble,) = own.troubles
    assert (trouble.cycle_id, trouble.why) == (str(cycle.pk), f"{cycle.pk} is running.")
    assert [hour for hour, _ in own.hours] == [5]


def test_times_are_those_of_the_viewers_zone(scheduled: None) -> None:
    with timezone.override(ZoneInfo("Asia/Kolkata")):
        assert [hour for hour, _ in week_of(namespace="eu").hours] == [10]


def test_many_ticks_of_an_hour_are_one_mark(scheduled: None) -> None:
    for minute in (0, 5, 10):
        tick("b", datetime(2026, 11, 24, 7, minute, tzinfo=UTC), "started")
    tick("b", datetime(2026, 11, 24, 7, 15, tzinfo=UTC), "missed")
    past = [mark for mark in marks(week_of(namespace="us")) if mark.tick_id]
    assert [(mark.outcome, mark.count) for mark in past] == [("missed", 1), ("started", 3)]


def test_ticks_to_come_are_held_until_a_halt_ends(scheduled: None) -> None:
    halts.halt("eu", actor=SYSTEM, reason="a flood")
    assert {mark.outcome for mark in marks(week_of(namespace="eu"))} == {"held"}


def test_a_schedule_to_which_no_cluster_comes_is_overdue(scheduled: None) -> None:
    rows("UPDATE django_q_schedule SET next_run = %s RETURNING 1", NOW - timedelta(hours=1))
    assert {mark.outcome for mark in week_of(namespace="eu").troubles} == {"overdue"}


def test_weeks_are_bounded(scheduled: None) -> None:
    assert week_of(date(1, 1, 1)).previous is None
    assert week_of(date(9999, 12, 31)).next is None
    assert week_of(date(2026, 11, 29)).days[0] == date(2026, 11, 23)
