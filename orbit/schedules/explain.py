"""Why did it run, or not? One sentence about one run profile and one moment, and the facts behind it.

The ledger of ticks says what became of what was due. Where it has no row the reason is older than the tick: nothing was due then, or the
schedule was off, or there was none; the revisions in force at that moment and the audit trail tell.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone

from governance.access.actors import Actor
from orbit import queue
from orbit.errors import RunProfileUnknown
from orbit.models import CronTick, CycleRun, RunProfile, RunProfileRevision
from orbit.schedules import rows, stop_history
from orbit.schedules.cron import CronInvalid, latest, next_after
from orbit.schedules.rows import CYCLES, OF_RUN_PROFILE, RUN_PROFILES, Row
from orbit.schedules.stop_history import Stop
from orbit.states import ProfileState, Tick

#: A tick counts as that of a moment when it is no further away than this.
AROUND = timedelta(minutes=15)

# What every zone has a time of, and every key a place for.
_EARLIEST, _LATEST = datetime(1970, 1, 3, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
_STOPPED = {
    "halt": "{where} was halted",
    "drain": "{where} was draining",
    "pause": "everything was paused",
}


@dataclass(slots=True)
class Answer:
    """The sentence, and what it is made of; ``ran`` tells whether a cycle of the run profile was accepted around the moment."""

    sentence: str
    ran: bool
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Case:
    """What was found about a run profile and a moment."""

    run_profile: RunProfile
    at: datetime
    now: datetime
    revision: RunProfileRevision | None
    whole: bool = False
    elsewhere: bool = False
    schedule: str = ""
    row: Row | None = None
    cron: str = ""
    zone: str = "UTC"
    tick: CronTick | None = None
    cycles: Sequence[CycleRun] = ()
    stop: Stop | None = None
    active: CycleRun | None = None

    @property
    def name(self) -> str:
        return self.run_profile.run_profile_id

    @property
    def namespace(self) -> str:
        return (
            str(self.revision.document["namespace"])
            if self.revision
            else self.run_profile.namespace_id
        )

    @property
    def policy(self) -> dict[str, Any]:
        found: dict[str, Any] = (
            self.revision.document.get("execution_policy", {}) if self.revision else {}
        )
        return found

    def says(self, moment: datetime) -> str:
        """Return ``moment`` in the schedule's zone."""
        return f"{moment.astimezone(ZoneInfo(self.zone)):%Y-%m-%d %H:%M:%S %Z}"


def explain(
    run_profile_id: str, at: datetime, *, actor: Actor, now: datetime | None = None
) -> Answer:
    """Say why the run profile did or didn't run at ``at``. Raises RunProfileUnknown, also for one that ``actor`` doesn't see."""
    found = (
        RunProfile.objects.filter(run_profile_id=run_profile_id).first()
        if "\x00" not in run_profile_id
        else None
    )
    if found is None or not actor.sees(found.namespace_id):
        raise RunProfileUnknown(f"There is no run profile {run_profile_id!r}.")
    at = min(max(at, _EARLIEST), _LATEST)
    case = _Case(
        found,
        at,
        now or timezone.now(),
        stop_history.run_profile_revision(found, at),
        whole=actor.namespaces is None,
    )
    if not actor.sees(case.namespace):
        case.revision, case.elsewhere = None, True
    if case.revision is not None:
        _schedule(case)
        case.tick = stop_history.tick(case.schedule, at, AROUND)
        case.cycles = stop_history.cycles(run_profile_id, at, AROUND)
        case.stop = stop_history.stop(case.namespace, at)
        case.active = stop_history.active(case.namespace, at)
    sentence = " ".join(_sentences(case))
    return Answer(sentence, bool(case.cycles), _facts(case))


def _schedule(case: _Case) -> None:
    """Find which schedule the run profile followed at that moment, and its cron then."""
    names = [OF_RUN_PROFILE + case.name] if case.policy.get("cron") else [RUN_PROFILES, CYCLES]
    found = {
        row.name: rows.parse(row.id, row.name, row.cron, row.repeats, row.due, row.kwargs)
        for row in queue.schedules().filter(name__in=names)
    }
    asked = [
        name
        for name in names
        if name in found and (schedule := found[name].asked) is not None and schedule.cron
    ]
    case.schedule = asked[0] if asked else names[-1]
    case.row = found.get(case.schedule)
    configured = case.policy.get("cron") or (
        case.row.asked.cron if case.row and case.row.asked else ""
    )
    _, changed, _ = stop_history.switched(case.schedule, case.row, case.at)
    person = case.row.person.cron if case.row and case.row.person and not changed else ""
    case.cron = changed or person or configured
    case.zone = case.policy.get("time_zone") or (
        case.row.asked.time_zone if case.row and case.row.asked else settings.ORBIT_TIME_ZONE
    )


def _sentences(case: _Case) -> Iterator[str]:
    if case.elsewhere:
        yield f"At that time {case.name} didn't exist in a namespace that you see."
        return
    if case.revision is None:
        yield f"It didn't exist yet: {case.name} was made on {case.says(stop_history.first_revision(case.run_profile))}."
        return
    if case.tick is not None:
        yield _of_tick(case, case.tick)
    elif case.at > case.now:
        yield f"{case.says(case.at)} is still to come{_next(case)}."
    else:
        yield _without_tick(case)
    # A trigger by hand leaves no tick; and a tick of before tells nothing of a stop since.
    if (
        case.stop is not None
        and case.at <= case.now
        and (case.tick is None or case.tick.due_at < case.stop.since)
    ):
        yield _of_stop(case, case.stop)
    told = {str(cycle) for cycle in _named(case)}
    for cycle in case.cycles:
        if str(cycle.pk) not in told:
            yield f"The cycle {cycle.pk} ({cycle.status}) of it was accepted at {case.says(cycle.created_at)} by {cycle.trigger}."


def _of_tick(case: _Case, tick: CronTick) -> str:
    due = f"the tick of {tick.schedule} that was due at {case.says(tick.due_at)}"
    result = _result(case, tick)
    own = tick.schedule == OF_RUN_PROFILE + case.name
    if (
        not own
        and not result
        and tick.outcome in {Tick.STARTED, Tick.SKIPPED, Tick.REFUSED}
        and (disabled := _disabled(case))
    ):
        return disabled
    # What a tick of many says is about somebody's namespace, whoever that is.
    own = own or case.whole
    said = str(result.get("detail") or (tick.detail.get("detail") if own else "") or "").rstrip(".")
    because = f": {said}." if said else "."
    match tick.outcome:
        case Tick.STARTED if result.get("outcome") in {"started", "queued"}:
            late = (
                f", {tick.detail['late_seconds']} s late, as the catch-up after an outage"
                if tick.detail.get("catch_up")
                else ""
            )
            return f"It did run: {due} {result['outcome']} the cycle {result.get('cycle_run_id')}{late}."
        case Tick.STARTED if result:
            return f"It didn't run: {due} found it {result['outcome']}{because}"
        case Tick.STARTED:
            what = (
                "started a raw cycle; run profiles were not its part"
                if "cycle_run_id" in tick.detail
                else "had no part for it"
            )
            return f"{case.name} didn't run: {due} {what}."
        case Tick.MISSED:
            away = f"{_when(case, tick, 'no_cluster_from')} until {_when(case, tick, 'no_cluster_until')}"
            skip = (
                " Its on_missed is skip, so it wasn't made good."
                if tick.detail.get("on_missed") == "skip"
                else ""
            )
            return f"It didn't run: no cluster was alive from {away}, so {due} was missed.{skip}"
        case Tick.LATE:
            return f"It didn't run: {due} came to a worker more than {tick.detail.get('max_lateness', 'the allowed')} s late, and was left out{because}"
        case Tick.SKIPPED | Tick.REFUSED:
            return f"It didn't run: {due} was {tick.outcome}{because}"
        case _:
            return f"It hasn't been decided yet: no worker has come to {due}."


def _of_stop(case: _Case, stop: Stop) -> str:
    until = f" until {case.says(datetime.fromisoformat(stop.until))}" if stop.until else ""
    what = _STOPPED[stop.kind].format(where=case.namespace)
    return f"Nothing could start then: {what} since {case.says(stop.since)}{until} by {stop.by}: {stop.reason.rstrip('.')}."


def _without_tick(case: _Case) -> str:
    if case.run_profile.hidden and case.run_profile.updated_at <= case.at:
        return f"It didn't run: the configuration has had no {case.name} since {case.says(case.run_profile.updated_at)}."
    if disabled := _disabled(case):
        return disabled
    on, _, entry = stop_history.switched(case.schedule, case.row, case.at)
    if not on:
        who = (
            f" by {entry.actor} on {case.says(entry.at)}: {entry.reason or 'none given'}"
            if entry
            else ""
        )
        return f"It didn't run: the schedule {case.schedule} was switched off{who}."
    if not case.cron:
        return f"Nothing was due: {case.name} has no cron of its own, and neither ORBIT_RUN_PROFILE_CRON_SCHEDULE nor ORBIT_CRON_SCHEDULE is set."
    return _not_due(case)


def _disabled(case: _Case) -> str:
    """Return the sentence about what was disabled then, of run profile and profile; empty where neither was."""
    document: dict[str, Any] = case.revision.document if case.revision else {}
    for kind, key, revision in (
        ("run profile", "run_profile_id", case.revision),
        ("profile", "profile_id", stop_history.profile_revision(document["profile_id"], case.at)),
    ):
        if revision is not None and revision.document["state"] == ProfileState.DISABLED:
            since = f"since revision {revision.number} of {case.says(revision.created_at)} by {revision.author}"
            return f"It didn't run: the {kind} {revision.document[key]} was disabled {since}{f': {revision.reason}' if revision.reason else ''}."
    return ""


def _not_due(case: _Case) -> str:
    try:
        before = latest(case.cron, case.zone, case.at + AROUND)
    except CronInvalid as error:
        return f"It didn't run: the schedule {case.schedule} can't be read: {error.detail}"
    if before is not None and before >= case.at - AROUND:
        if (
            case.row is not None
            and case.row.on
            and case.row.next_run is not None
            and case.row.next_run <= before
        ):
            return f"It didn't run: {case.schedule} was due at {case.says(before)}, and no cluster has looked since {case.says(case.row.next_run)}."
        return f"It didn't run: {case.schedule} would have been due at {case.says(before)}, but it was made, or switched on, after that."
    last = f", the last time before that at {case.says(before)}" if before else ""
    return f"Nothing was due: {case.schedule} ({case.cron}, {case.zone}) wasn't due within {AROUND.seconds // 60} minutes of it{last}{_next(case)}."


def _next(case: _Case) -> str:
    try:
        return (
            f", and is due next at {case.says(next_after(case.cron, case.zone, case.now))}"
            if case.cron
            else ""
        )
    except CronInvalid:
        return ""


def _result(case: _Case, tick: CronTick) -> dict[str, Any]:
    """Return what became of this run profile in the tick: of the very many those that started are only there as cycles."""
    for one in tick.detail.get("results", []):
        if one.get("run_profile_id") == case.name:
            return dict(one)
    for outcome, names in tick.detail.get("others", {}).items():
        if case.name in names:
            return {"run_profile_id": case.name, "outcome": outcome}
    for cycle in case.cycles:
        if "outcomes" in tick.detail and cycle.trigger == "cron":
            return {
                "run_profile_id": case.name,
                "outcome": "started",
                "cycle_run_id": str(cycle.pk),
            }
    return {}


def _named(case: _Case) -> list[Any]:
    return [] if case.tick is None else [_result(case, case.tick).get("cycle_run_id")]


def _when(case: _Case, tick: CronTick, key: str) -> str:
    return (
        case.says(datetime.fromisoformat(tick.detail[key]))
        if key in tick.detail
        else "an unknown time"
    )


def _facts(case: _Case) -> dict[str, Any]:
    tick, stop, active = case.tick, case.stop, case.active
    where = case.namespace
    return {
        "run_profile_id": case.name,
        "at": case.at,
        "namespace": where,
        "revision": case.revision.number if case.revision else None,
        "state": case.revision.document["state"] if case.revision else None,
        "schedule": case.schedule or None,
        "cron": case.cron or None,
        "time_zone": case.zone,
        "tick": None if tick is None else {"tick_key": tick.tick_key, "due_at": tick.due_at, "outcome": tick.outcome, "result": _result(case, tick) or None},
        "stopped": None if stop is None else {
            "kind": stop.kind, "what": _STOPPED[stop.kind].format(where=where), "by": stop.by, "since": stop.since, "reason": stop.reason, "until": stop.until},
        "active_cycle_run_id": None if active is None else str(active.pk),
        "cycles": [{"id": str(cycle.pk), "status": cycle.status, "trigger": cycle.trigger, "created_at": cycle.created_at} for cycle in case.cycles],
    }  # fmt: skip
