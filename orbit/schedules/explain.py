"""Explain why a run profile ran at a time, or didn't."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings

from governance.access.actors import Actor
from governance.kernel import clock, reasons
from governance.states import Stopped
from orbit import queue
from orbit.errors import RunProfileUnknown
from orbit.models import CronTick, CycleRun, RunProfile, RunProfileRevision
from orbit.records import pruned
from orbit.schedules import rows, stop_history
from orbit.schedules.cron import CronInvalid, latest, next_after
from orbit.schedules.rows import CYCLES, OF_RUN_PROFILE, RUN_PROFILES, ScheduleRow
from orbit.schedules.stop_history import StopPeriod
from orbit.states import ProfileState, Tick, Trigger

#: A tick belongs to a time that is no further away than this.
AROUND = timedelta(minutes=15)

# Times that have a local time in every zone, and a place in every key.
_EARLIEST, _LATEST = datetime(1970, 1, 3, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
_STOPPED = {
    Stopped.HALT: "{namespace} was halted",
    Stopped.DRAIN: "{namespace} was draining",
    Stopped.PAUSE: "everything was paused",
}


@dataclass(slots=True)
class Explanation:
    """The sentence and its facts."""

    sentence: str
    ran: bool  # a cycle was created around then
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Case:
    """What is known about a run profile at a time."""

    run_profile: RunProfile
    at: datetime
    now: datetime
    revision: RunProfileRevision | None  # None: none existed or may be seen
    workspace: bool = False  # the actor sees all namespaces
    elsewhere: bool = False  # it ran where the actor doesn't see it
    schedule: str = ""
    row: ScheduleRow | None = None
    cron: str = ""
    zone: str = "UTC"
    tick: CronTick | None = None
    cycles: Sequence[CycleRun] = ()
    stop: StopPeriod | None = None
    active: CycleRun | None = None

    @property
    def name(self) -> str:
        return self.run_profile.run_profile_id

    @property
    def document(self) -> dict[str, Any]:
        return self.revision.document if self.revision else {}

    @property
    def namespace(self) -> str:
        return str(self.document.get("namespace", self.run_profile.namespace_id))

    @property
    def policy(self) -> dict[str, Any]:
        return dict(self.document.get("execution_policy", {}))

    def local(self, moment: datetime) -> str:
        return f"{moment.astimezone(ZoneInfo(self.zone)):%Y-%m-%d %H:%M:%S %Z}"


def explain(
    run_profile_id: str, at: datetime, *, actor: Actor, now: datetime | None = None
) -> Explanation:
    """Explain why the run profile ran at ``at``, or didn't. Raises RunProfileUnknown."""
    run_profile = None
    if "\x00" not in run_profile_id:
        run_profile = RunProfile.objects.filter(run_profile_id=run_profile_id).first()
    if run_profile is None or not actor.sees(run_profile.namespace_id):
        raise RunProfileUnknown(f"There is no run profile {run_profile_id!r}.")
    at = min(max(at, _EARLIEST), _LATEST)
    now, revision = now or clock.now(), stop_history.run_profile_revision(run_profile, at)
    case = _Case(run_profile, at, now, revision, workspace=actor.namespaces is None)
    if not actor.sees(case.namespace):
        case.revision, case.elsewhere = None, True
    if case.revision is not None:
        _find_schedule(case)
        case.tick = stop_history.tick_near(case.schedule, at, AROUND)
        case.cycles = stop_history.cycles_near(run_profile_id, at, AROUND)
        case.stop = stop_history.stop_at(case.namespace, at)
        case.active = stop_history.active_cycle(case.namespace, at)
    return Explanation(" ".join(_sentences(case)), bool(case.cycles), _facts(case))


def _find_schedule(case: _Case) -> None:
    """Set the schedule that the run profile followed then."""
    own_cron, own_zone = case.policy.get("cron"), case.policy.get("time_zone")
    names = [OF_RUN_PROFILE + case.name] if own_cron else [RUN_PROFILES, CYCLES]
    by_name = {
        row.name: rows.parse(row.id, row.name, row.cron, row.repeats, row.due, row.kwargs)
        for row in queue.schedules().filter(name__in=names)
    }
    on = [
        name
        for name in names
        if name in by_name and (schedule := by_name[name].configured) and schedule.cron
    ]
    case.schedule = on[0] if on else names[-1]
    case.row = row = by_name.get(case.schedule)
    _, cron_then, _ = stop_history.switch_at(case.schedule, row, case.at)
    overridden = row.override.cron if row and row.override else ""
    configured = row.configured if row else None
    case.cron = cron_then or overridden or own_cron or (configured.cron if configured else "")
    case.zone = own_zone or (configured.time_zone if configured else settings.ORBIT_TIME_ZONE)


def _sentences(case: _Case) -> Iterator[str]:
    if case.elsewhere:
        yield f"At that time {case.name} didn't exist in a namespace that you see."
        return
    if case.revision is None:
        created = case.local(stop_history.created_at(case.run_profile))
        yield f"It didn't exist yet: {case.name} was created on {created}."
        return
    if case.tick is not None:
        yield _about_tick(case, case.tick)
    elif case.at > case.now:
        yield f"{case.local(case.at)} is still to come{_next_due(case)}."
    else:
        # The ledger has every tick that was due. Ask the revisions and the audit trail.
        yield _without_tick(case)
    yield from _about_stop(case)
    yield from _about_other_cycles(case)


def _about_tick(case: _Case, tick: CronTick) -> str:
    due = f"the tick of {tick.schedule} that was due at {case.local(tick.due_at)}"
    result = _result(case, tick)
    own = tick.schedule == OF_RUN_PROFILE + case.name
    decided = tick.outcome in {Tick.STARTED, Tick.SKIPPED, Tick.REFUSED}
    if decided and not own and not result and (disabled := _disabled(case)):
        return disabled
    detail = result.get("detail") or ""
    if not detail and (own or case.workspace):
        # Of a tick of many run profiles this may tell of a namespace that the actor doesn't see.
        detail = tick.detail.get("detail") or ""
    why = f": {str(detail).rstrip('.')}." if detail else "."
    match tick.outcome:
        case Tick.STARTED:
            return _about_started(case, tick, due, result, why)
        case Tick.MISSED:
            return _about_missed(case, tick, due)
        case Tick.LATE:
            seconds = tick.detail.get("max_lateness", "the allowed")
            return f"It didn't run: {due} reached a worker more than {seconds} s late{why}"
        case Tick.SKIPPED | Tick.REFUSED:
            return f"It didn't run: {due} was {tick.outcome}{why}"
        case _:
            return f"It isn't decided yet: no worker has come to {due}."


def _about_started(case: _Case, tick: CronTick, due: str, result: dict[str, Any], why: str) -> str:
    if result.get("outcome") in {"started", "queued"}:
        late = ""
        if tick.detail.get("catch_up"):
            seconds = tick.detail["late_seconds"]
            late = f", {seconds} s late, as the catch-up after an outage"
        cycle = result.get("cycle_run_id")
        return f"It did run: {due} {result['outcome']} the cycle {cycle}{late}."
    if result:
        return f"It didn't run: for this run profile {due} was {result['outcome']}{why}"
    if "cycle_run_id" in tick.detail:
        return f"{case.name} didn't run: {due} started a raw cycle, not the run profiles."
    return f"{case.name} didn't run: {due} was not for it."


def _about_missed(case: _Case, tick: CronTick, due: str) -> str:
    since, until = (
        case.local(datetime.fromisoformat(tick.detail[key]))
        if key in tick.detail
        else "an unknown time"
        for key in ("no_cluster_from", "no_cluster_until")
    )
    skipped = tick.detail.get("on_missed") == "skip"
    skip = " Its on_missed is skip, so there was no catch-up." if skipped else ""
    away = f"no cluster was alive from {since} until {until}"
    return f"It didn't run: {away}, so {due} was missed.{skip}"


def _without_tick(case: _Case) -> str:
    if case.run_profile.hidden and case.run_profile.updated_at <= case.at:
        since = case.local(case.run_profile.updated_at)
        return f"It didn't run: the configuration has had no {case.name} since {since}."
    if disabled := _disabled(case):
        return disabled
    on, _, entry = stop_history.switch_at(case.schedule, case.row, case.at)
    if not on:
        by = ""
        if entry:
            by = f" by {entry.actor} on {case.local(entry.at)}: {entry.reason or reasons.NO_REASON}"
        return f"It didn't run: the schedule {case.schedule} was switched off{by}."
    if not case.cron:
        variables = "ORBIT_RUN_PROFILE_CRON_SCHEDULE nor ORBIT_CRON_SCHEDULE"
        return f"Nothing was due: {case.name} has no cron, and neither {variables} is set."
    return _not_due(case)


def _disabled(case: _Case) -> str:
    """Return the sentence if the run profile or its profile was disabled."""
    profile = stop_history.profile_revision(case.document["profile_id"], case.at)
    for kind, key, revision in (
        ("run profile", "run_profile_id", case.revision),
        ("profile", "profile_id", profile),
    ):
        if revision is not None and revision.document["state"] == ProfileState.DISABLED:
            reason = f": {revision.reason}" if revision.reason else ""
            since = f"revision {revision.number} of {case.local(revision.created_at)}"
            what = f"the {kind} {revision.document[key]}"
            return f"It didn't run: {what} was disabled since {since} by {revision.author}{reason}."
    return ""


def _not_due(case: _Case) -> str:
    try:
        last = latest(case.cron, case.zone, case.at + AROUND)
    except CronInvalid as error:
        return f"It didn't run: the schedule {case.schedule} can't be read: {error.detail}"
    if last is None or last < case.at - AROUND:
        schedule = f"{case.schedule} ({case.cron}, {case.zone})"
        around = f"within {AROUND.seconds // 60} minutes of it"
        before = f", the last time before that at {case.local(last)}" if last else ""
        return f"Nothing was due: {schedule} wasn't due {around}{before}{_next_due(case)}."
    if deleted := pruned.explain(pruned.TICKS, case.at):
        due = f"{case.schedule} was due at {case.local(last)}"
        return f"It isn't known any more whether it ran: {due}. {deleted}"
    due = f"It didn't run: {case.schedule} was due at {case.local(last)}"
    row = case.row
    if row is not None and row.on and row.next_run is not None and row.next_run <= last:
        return f"{due}, and no cluster has looked since {case.local(row.next_run)}."
    return f"{due}, but was created or switched on after that."


def _next_due(case: _Case) -> str:
    if not case.cron:
        return ""
    try:
        moment = next_after(case.cron, case.zone, case.now)
    except CronInvalid:
        return ""
    return f", and is due next at {case.local(moment)}"


def _about_stop(case: _Case) -> Iterator[str]:
    stop = case.stop
    # A tick that was due during the stop names it already.
    if stop is None or case.at > case.now or (case.tick and case.tick.due_at >= stop.since):
        return
    until = f" until {case.local(datetime.fromisoformat(stop.until))}" if stop.until else ""
    what = _STOPPED[stop.kind].format(namespace=case.namespace)
    by = f"by {stop.by}: {stop.reason.rstrip('.')}"
    yield f"Nothing could start then: {what} since {case.local(stop.since)}{until} {by}."


def _about_other_cycles(case: _Case) -> Iterator[str]:
    # A trigger leaves no tick.
    of_tick = _result(case, case.tick).get("cycle_run_id") if case.tick else None
    for cycle in case.cycles:
        if str(cycle.pk) != str(of_tick):
            created = case.local(cycle.created_at)
            accepted = f"was accepted at {created} by {cycle.trigger}"
            yield f"Its cycle {cycle.pk} ({cycle.status}) {accepted}."


def _result(case: _Case, tick: CronTick) -> dict[str, Any]:
    """Return what the tick did for this run profile."""
    for result in tick.detail.get("results", []):
        if result.get("run_profile_id") == case.name:
            return dict(result)
    for outcome, names in tick.detail.get("others", {}).items():
        if case.name in names:
            return {"run_profile_id": case.name, "outcome": outcome}
    # A tick of very many doesn't list all that started: an own cycle around then is one.
    for cycle in case.cycles:
        if "outcomes" in tick.detail and cycle.trigger == Trigger.CRON:
            started = {"outcome": "started", "cycle_run_id": str(cycle.pk)}
            return {"run_profile_id": case.name, **started}
    return {}


def _facts(case: _Case) -> dict[str, Any]:
    return {
        "run_profile_id": case.name,
        "at": case.at,
        "namespace": case.namespace,
        "revision": case.revision.number if case.revision else None,
        "state": case.revision.document["state"] if case.revision else None,
        "schedule": case.schedule or None,
        "cron": case.cron or None,
        "time_zone": case.zone,
        "tick": _tick_facts(case),
        "stopped": _stop_facts(case),
        "active_cycle_run_id": None if case.active is None else str(case.active.pk),
        "cycles": [
            {
                "id": str(cycle.pk),
                "status": cycle.status,
                "trigger": cycle.trigger,
                "created_at": cycle.created_at,
            }
            for cycle in case.cycles
        ],
    }


def _tick_facts(case: _Case) -> dict[str, Any] | None:
    tick = case.tick
    if tick is None:
        return None
    return {
        "tick_key": tick.tick_key,
        "due_at": tick.due_at,
        "outcome": tick.outcome,
        "result": _result(case, tick) or None,
    }


def _stop_facts(case: _Case) -> dict[str, Any] | None:
    if case.stop is None:
        return None
    what = _STOPPED[case.stop.kind].format(namespace=case.namespace)
    return {"what": what, **asdict(case.stop)}
