"""What became of the ticks of a schedule: decided purely, from the one that was awaited and the time that it is now."""

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
    """Periodic work as the configuration asks for it. An empty ``cron`` is off; ``on_missed`` is once or skip; ``max_lateness`` in seconds."""

    name: str
    cron: str
    time_zone: str
    on_missed: str = "once"
    max_lateness: int = 3600


@dataclass(frozen=True, slots=True)
class Planned:
    """A row that the ledger is to get."""

    key: str
    due_at: datetime
    outcome: Tick
    detail: dict[str, Any] = field(default_factory=dict)


def plan(schedule: Schedule, first: datetime, now: datetime) -> list[Planned]:
    """Decide what became of the ticks from ``first``, the one that was awaited, until ``now``.

    The newest one runs; if it is late, as the one catch-up of this outage, or not at all where ``on_missed`` or ``max_lateness`` say
    so. Those before it were missed: a row each, or one row from-to where there are more than a hundred. A keeper looks each second, so none was
    alive from ``first`` until ``now``: each row of a missed tick says so.
    """
    away = {"no_cluster_from": first.isoformat(), "no_cluster_until": now.isoformat()}

    def row(moment: datetime, outcome: Tick, **detail: Any) -> Planned:
        return Planned(tick_key(schedule.cron, schedule.time_zone, moment), moment, outcome, detail)

    later = occurrences(schedule.cron, schedule.time_zone, first)
    times = list(
        islice(takewhile(lambda moment: moment <= now, chain([first], later)), MOST_MISSED + 2)
    )
    if len(times) <= MOST_MISSED + 1:
        newest = times[-1]
        rows = [row(moment, Tick.MISSED, **away) for moment in times[:-1]]
    else:
        newest = latest(schedule.cron, schedule.time_zone, now, since=first) or first
        key = "/".join(
            tick_key(schedule.cron, schedule.time_zone, moment) for moment in (first, newest)
        )
        rows = [
            Planned(
                key,
                first,
                Tick.MISSED,
                {"from": first.isoformat(), "until": newest.isoformat(), **away},
            )
        ]
    late = now - newest
    catch_up: dict[str, Any] = (
        {"catch_up": True, "late_seconds": round(late.total_seconds())}
        if rows or late > ON_TIME
        else {}
    )
    expires = newest + timedelta(seconds=schedule.max_lateness)
    if now > expires:
        return [
            *rows,
            row(newest, Tick.LATE, max_lateness=schedule.max_lateness, **catch_up, **away),
        ]
    if catch_up and schedule.on_missed == "skip":
        return [*rows, row(newest, Tick.MISSED, on_missed="skip", **away)]
    return [*rows, row(newest, Tick.DUE, expires_at=expires.isoformat(), **catch_up)]
