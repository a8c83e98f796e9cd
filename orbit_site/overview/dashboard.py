"""The dashboard's tiles, drawn from the overview's facts."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.safestring import SafeString

from governance import display
from governance.access.actors import Actor
from governance.kernel.errors import OrbitError
from governance.namespaces import gate
from governance.plots import charts
from governance.plots.charts import Cell, Column, Row, Series
from orbit.cycles import waiting
from orbit.cycles.waiting import Kind, OpenWork
from orbit.dispatch import endpoints
from orbit.models import CycleRun
from orbit.schedules import rows
from orbit_site.overview import facts as facts_
from orbit_site.overview import first_run, things
from orbit_site.overview.banners import Banners
from orbit_site.overview.facts import Facts, listed
from orbit_site.overview.first_run import Step
from orbit_site.overview.summary import Summary

#: Seconds after which times in words, such as "5 s ago", are written again: as on a page that
#: looks every 15 s.
_WORDS_SECONDS = 15
_HOURS = 24
_MOST_ENDPOINTS = 12
_OUTCOMES = (
    ("failed", "bad"),
    ("partial_success", "part"),
    ("cancelled", "wait"),
    ("success", "ok"),
)
_WAITS = {
    Kind.NOTHING: "at work",
    Kind.ENDPOINT: "delivering",
    Kind.WORKER: "waiting for a worker",
    Kind.LEASE: "with a silent worker",
    Kind.BREAKER: "held by an open breaker",
    Kind.STOP: "stopped",
    Kind.RETRY: "retrying",
}


@dataclass(frozen=True, slots=True)
class NextRun:
    """A run to come. ``is_stopped``: its namespace is halted, draining or paused."""

    name: str
    at: datetime
    words: str
    is_stopped: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that runs."""

    id: UUID
    type: str
    done: int
    total: int
    words: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """All that the page shows besides the sentence and its things."""

    summary: Summary
    hours: SafeString
    days: SafeString | None
    next_runs: list[NextRun]
    active: str
    waits: str
    endpoints: list[tuple[str, str]]
    endpoint_note: str
    queue: str
    queue_note: str
    operations: list[Operation]
    operations_count: str
    audit: list[dict[str, Any]]
    checklist: list[Step]
    links: dict[str, str]
    #: Whether the pages of the whole workspace are open to the user.
    is_workspace: bool
    #: Seconds between looks.
    every: int


def look(actor: Actor, read: facts_.Read, banners: Banners) -> str:
    """Return what changes when the dashboard or its banners do: who has it needs no other page.

    No query: the newest proposal and decision stand for the proposals that wait.
    """
    facts, problems = read
    moment = int(datetime.fromisoformat(facts["now"]).timestamp()) // _WORDS_SECONDS
    same = {
        **facts,
        "now": moment,
        "took": None,
        "clusters": {**facts["clusters"], "seen_at": None},
        "queue": facts["queue"]["count"],
    }
    zone = timezone.get_current_timezone_name()
    # A digest tells what changes: not what the actor doesn't see.
    seen = problems if actor.namespaces is None else []
    words = json.dumps([same, seen, banners.look, zone, actor.name], sort_keys=True)
    # What the actor may do decides which proposals wait and which tiles there are.
    rights = f"{sorted(actor.scopes)} {actor.namespaces and sorted(actor.namespaces)}"
    return hashlib.sha256(f"{words} {rights}".encode()).hexdigest()[:32]


def of(summary: Summary, *, actor: Actor) -> Dashboard:
    """Return the dashboard. At most one query more than its summary."""
    facts, now = summary.facts, summary.now
    clusters, queue = facts["clusters"], facts["queue"]
    oldest = f"oldest {display.duration(queue['age'])}" if queue["count"] else "nothing waits"
    states, note = _endpoints(facts, now) if actor.namespaces is None else ([], "")
    return Dashboard(
        summary=summary,
        hours=_hours(facts, now),
        days=_days(facts, now),
        next_runs=_next_runs(facts, now),
        active=things.number(facts["active"]),
        waits=_waits(facts, now),
        endpoints=states,
        endpoint_note=note,
        queue=things.number(queue["count"]),
        queue_note=f"{oldest} · {_count(clusters['count'], 'cluster')}, "
        f"{_count(clusters['workers'], 'worker')}",
        operations=[_operation(run, now) for run in listed(facts, "running_operations")],
        operations_count=things.number(facts["operations"]),
        audit=[
            {**entry, "at": datetime.fromisoformat(entry["at"])} for entry in listed(facts, "audit")
        ],
        checklist=first_run.steps(facts) if facts["is_first_run"] else [],
        links=things.LINKS,
        is_workspace=actor.namespaces is None,
        every=2 if facts["active"] or facts["operations"] else 15,
    )


def _hours(facts: Facts, now: datetime) -> SafeString:
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    return _bars(json.dumps(facts["hours"]), this_hour, timezone.get_current_timezone())


def _days(facts: Facts, now: datetime) -> SafeString | None:
    return _strip(json.dumps(facts["days"]), now.date()) if facts["days"] else None


# Drawn once for all open dashboards: drawing takes longer than all else that they show.
@lru_cache(maxsize=64)
def _bars(stored: str, this_hour: datetime, zone: tzinfo) -> SafeString:
    counted = {
        datetime.fromisoformat(hour["hour"]): (hour["delivered"], hour["dead"])
        for hour in json.loads(stored) or []
    }
    first = this_hour - timedelta(hours=_HOURS - 1)
    columns = []
    for place in range(_HOURS):
        hour = first + timedelta(hours=place)
        local = timezone.localtime(hour, zone)
        tick = f"{local:%H}" if not local.minute else f"{local:%H:%M}"
        columns.append(Column(tick, f"{local:%d %b %H:%M %Z}", counted.get(hour, (0, 0))))
    return charts.bars(
        columns,
        series=(Series("delivered", "ok"), Series("dead", "bad")),
        title="Deliveries per hour, last 24 hours",
    )


@lru_cache(maxsize=64)
def _strip(stored: str, today: date) -> SafeString:
    by_namespace: dict[str, dict[date, Cell]] = {}
    for day in json.loads(stored):
        cells = by_namespace.setdefault(day["namespace"], {})
        cells[date.fromisoformat(day["day"])] = _cell(day)
    days = [today - timedelta(days=back) for back in reversed(range(facts_.DAYS))]
    nothing = Cell(None, "no cycle")
    return charts.strip(
        [
            Row(
                namespace,
                tuple(cells.get(day, nothing) for day in days),
                f"/admin/orbit/cyclerun/?namespace={namespace}",
            )
            for namespace, cells in list(by_namespace.items())[: facts_.NAMESPACES_IN_STRIP]
        ],
        ticks=[f"{day.day} {day:%b}" for day in days],
        title="Worst outcome of each namespace and UTC day",
        heading="Namespace",
    )


def _cell(day: dict[str, Any]) -> Cell:
    counts = [(name.replace("_", " "), look, day[name]) for name, look in _OUTCOMES if day[name]]
    words = ", ".join(f"{count:,} {name}" for name, _, count in counts)
    return Cell(charts.worst([look for _, look, _ in counts] or ["wait"]), words)


def _next_runs(facts: Facts, now: datetime) -> list[NextRun]:
    stopped = {stop["namespace"] for stop in listed(facts, "stops")}
    is_paused = facts["pause"] is not None or gate.paused_here()
    runs = []
    for run in listed(facts, "next_runs"):
        at = things.time(run["next_run"])
        if at is None:
            continue
        seconds = (at - now).total_seconds()
        words = f"in {display.duration(max(1, round(seconds)))}" if 0 < seconds < 3600 else ""
        runs.append(
            NextRun(
                run["name"].removeprefix(rows.OF_RUN_PROFILE),
                at,
                words or ("due" if seconds <= 0 else things.at(at, now)),
                is_paused or run["namespace"] in stopped,
            )
        )
    return runs


def _waits(facts: Facts, now: datetime) -> str:
    active = list(listed(facts, "active_cycles"))
    queued = f"{things.number(facts['queued'])} queued" if facts["queued"] else ""
    if not active:
        return queued or "nothing runs"
    work: dict[UUID, list[OpenWork]] = {}
    for cycle_id, *row in waiting.OPEN_WORK.rows(
        cycles=[UUID(cycle["id"]) for cycle in active], moment=now
    ):
        work.setdefault(cycle_id, []).append(OpenWork(*row))
    stops = {
        stop["namespace"]: OrbitError(stop["mode"])
        for stop in listed(facts, "stops")
        if stop["mode"] != "draining"
    }
    kinds: Counter[Kind] = Counter()
    retry: datetime | None = None
    for row_ in active:
        cycle = CycleRun(
            id=UUID(row_["id"]),
            namespace_id=row_["namespace"],
            status=row_["status"],
            resumes=row_["resumes"],
            next_due_at=things.time(row_["next_due_at"]),
            lease_expires_at=things.time(row_["lease_expires_at"]),
        )
        wait = waiting.decide(
            cycle, work.get(cycle.pk, []), stop=stops.get(row_["namespace"]), now=now
        )
        kinds[wait.kind] += 1
        if wait.kind == Kind.RETRY and wait.until is not None:
            retry = min(retry or wait.until, wait.until)
    parts = [f"{count} {_WAITS[kind]}" for kind, count in kinds.items() if kind in _WAITS]
    if retry is not None:
        parts.append(f"next retry in {waiting.seconds_until(retry, now)} s")
    return " · ".join(filter(None, [*parts, queued]))


def _endpoints(facts: Facts, now: datetime) -> tuple[list[tuple[str, str]], str]:
    down = {circuit["endpoint_key"]: circuit for circuit in listed(facts, "circuits")}
    growing = {group["endpoint_key"] for group in listed(facts, "groups") if group["growing"]}
    looks = {
        key: "bad" if key in down else "part" if key in growing else "ok"
        for key in {*endpoints.configured(), *down}
    }
    keys = sorted(looks, key=lambda key: (looks[key] == "ok", looks[key] == "part", key))
    states = [(looks[key], key) for key in keys[:_MOST_ENDPOINTS]]
    notes = []
    if down:
        probe = min(datetime.fromisoformat(circuit["probe_at"]) for circuit in down.values())
        due = (
            f"in {waiting.seconds_until(probe, now)} s" if probe > now else "with the next delivery"
        )
        notes.append(f"breaker open, probe {due}")
    if "part" in looks.values():
        notes.append("new dead letters")
    if len(keys) > _MOST_ENDPOINTS:
        notes.append(f"{len(keys) - _MOST_ENDPOINTS:,} more")
    quiet = "all breakers closed" if facts_.has_endpoints(facts) else "none is configured"
    return states, " · ".join(notes) or quiet


def _operation(run: dict[str, Any], now: datetime) -> Operation:
    progress = run["progress"] or {}
    done, total = int(progress.get("processed", 0)), int(progress.get("total", 0))
    words = f"{done:,} of {total:,}" if total else run["status"]
    began = things.time(run["started_at"])
    seconds = (now - began).total_seconds() if began else 0.0
    if 0 < done < total and seconds > 5:
        left = display.duration(round((total - done) * seconds / done))
        words += f" · {done / seconds:.0f}/s · {left} left"
    return Operation(UUID(run["id"]), run["type"], done, total, words)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
