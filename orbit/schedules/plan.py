"""Decide what became of ticks, without clock or database."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, islice, takewhile
from typing import Any

from orbit.schedules.cron import latest, occurrences, tick_key
from orbit.states import Tick

ON_TIME = timedelta(seconds=60)
MOST_MISSED = 100


@dataclass(frozen=True, slots=True)
class Schedule:
    """Periodic work as configured."""

    name: str
    cron: str  # empty: off
    time_zone: str
    on_missed: str = "once"  # or skip
    max_lateness: int = 3600  # seconds


@dataclass(frozen=True, slots=True)
class PlannedTick:
    """A row of the ledger to write."""

    key: str
    due_at: datetime
    outcome: Tick
    detail: dict[str, Any] = field(default_factory=dict)


def plan(schedule: Schedule, first: datetime, now: datetime) -> list[PlannedTick]:
    """Decide the ticks from ``first`` until ``now``.

    The newest runs, if late as the one catch-up of the outage; earlier ones were missed.
    """
    # Clusters look at schedules every second: a missed tick means that none was alive.
    away = {"no_cluster_from": first.isoformat(), "no_cluster_until": now.isoformat()}
    missed, newest = _missed(schedule, first, now, away)
    late = now - newest
    catch_up: dict[str, Any] = {}
    if missed or late > ON_TIME:
        catch_up = {"catch_up": True, "late_seconds": round(late.total_seconds())}
    expires = newest + timedelta(seconds=schedule.max_lateness)
    if now > expires:
        detail = {"max_lateness": schedule.max_lateness, **catch_up, **away}
        return [*missed, _tick(schedule, newest, Tick.LATE, detail)]
    if catch_up and schedule.on_missed == "skip":
        return [*missed, _tick(schedule, newest, Tick.MISSED, {"on_missed": "skip", **away})]
    detail = {"expires_at": expires.isoformat(), **catch_up}
    return [*missed, _tick(schedule, newest, Tick.DUE, detail)]


def _missed(
    schedule: Schedule, first: datetime, now: datetime, away: dict[str, str]
) -> tuple[list[PlannedTick], datetime]:
    """Return the missed ticks, and the newest tick's time."""
    later = occurrences(schedule.cron, schedule.time_zone, first)
    until_now = takewhile(lambda moment: moment <= now, chain([first], later))
    times = list(islice(until_now, MOST_MISSED + 2))
    if len(times) <= MOST_MISSED + 1:
        missed = [_tick(schedule, moment, Tick.MISSED, dict(away)) for moment in times[:-1]]
        return missed, times[-1]
    # Too many for a row each: one row for the whole time.
    newest = latest(schedule.cron, schedule.time_zone, now, since=first) or first
    key = f"{_key(schedule, first)}/{_key(schedule, newest)}"
    detail = {"from": first.isoformat(), "until": newest.isoformat(), **away}
    return [PlannedTick(key, first, Tick.MISSED, detail)], newest


def _tick(
    schedule: Schedule, moment: datetime, outcome: Tick, detail: dict[str, Any]
) -> PlannedTick:
    return PlannedTick(_key(schedule, moment), moment, outcome, detail)


def _key(schedule: Schedule, moment: datetime) -> str:
    return tick_key(schedule.cron, schedule.time_zone, moment)
