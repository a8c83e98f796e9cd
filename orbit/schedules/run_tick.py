"""Run a tick."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from governance.access.actors import SYSTEM
from governance.kernel import sql
from governance.kernel.errors import OrbitError
from governance.namespaces import gate
from orbit import queue
from orbit.cycles import creation, maintenance, orchestrate, trigger
from orbit.cycles.orchestrate import Call, ProfileOutcome, Unfinished
from orbit.errors import CycleActive
from orbit.schedules.rows import CYCLES, OF_RUN_PROFILE, RUN_PROFILES
from orbit.states import Tick, Trigger

MOST_RESULTS = 100
#: How long one task works on a tick; the next one goes on.
SECONDS = 5.0

TAKE = sql.load(__name__, "take_tick")
DECIDE = sql.load(__name__, "decide_tick")

TickOutcome = tuple[Tick, dict[str, Any]]


def run(tick_id: UUID, *, now: datetime | None = None) -> None:
    """Do the tick's work and write its outcome.

    After a crash it is still ``due``, and goes on where it was; if it started nothing and is past
    its ``expires_at``, it ends as ``late``.
    """
    with transaction.atomic():
        tick = TAKE.one(now=now, tick_id=tick_id)
        if tick is None:  # decided, or locked by another worker
            return
        schedule, stored, moment = tick
        detail = json.loads(stored)
        late = "expires_at" in detail and moment > datetime.fromisoformat(detail["expires_at"])
        if late and not creation.of_call(tick_id):
            _decide(tick_id, (Tick.LATE, {"detail": "No worker came to it in time."}))
            return
        if gate.paused_here() and maintenance.unpaused_cluster_is_alive():
            return  # the tick is enqueued again and reaches the other cluster
        if schedule == CYCLES and not (_takes_run_profiles() and _has_run_profiles()):
            _decide(tick_id, _start_cycle())
            return
    # Many slices, each in a transaction of its own that locks the tick again.
    call = Call(tick_id, lambda: TAKE.one(now=now, tick_id=tick_id) is not None, SECONDS)
    try:
        decision = _start(schedule, call)
    except Unfinished:
        # Other tasks of the queue get a turn. Without this wake-up it would be enqueued as lost.
        queue.wake(queue.TICK, str(tick_id))
        return
    if decision is not None:
        _decide(tick_id, decision)


def _decide(tick_id: UUID, decision: TickOutcome) -> None:
    outcome, result = decision
    DECIDE.execute(outcome=str(outcome), detail=json.dumps(result, default=str), tick_id=tick_id)


def _start(schedule: str, call: Call) -> TickOutcome | None:
    if schedule in {CYCLES, RUN_PROFILES}:
        return _start_run_profiles(call) or (
            Tick.SKIPPED,
            {"detail": "No run profile without a cron of its own is enabled."},
        )
    if schedule.startswith(OF_RUN_PROFILE):
        return _start_run_profile(schedule.removeprefix(OF_RUN_PROFILE), call)
    return None  # a newer release knows this schedule


def _start_cycle() -> TickOutcome:
    try:
        started = trigger.start(
            namespace=trigger.DEFAULT_NAMESPACE, source=Trigger.CRON, actor=SYSTEM
        )
    except OrbitError as error:
        outcome = Tick.SKIPPED if isinstance(error, CycleActive) else Tick.REFUSED
        return outcome, {"code": error.code, "detail": error.detail, **error.extra}
    return Tick.STARTED, {"cycle_run_id": started.cycle_id}


def _takes_run_profiles() -> bool:
    # If run profiles have no schedule but this one, it starts them instead of a raw cycle.
    return not settings.ORBIT_RUN_PROFILE_CRON_SCHEDULE


def _has_run_profiles() -> bool:
    return orchestrate.any_enabled(own_cron=False)


def _start_run_profiles(call: Call) -> TickOutcome | None:
    outcomes = orchestrate.all_enabled(source=Trigger.CRON, actor=SYSTEM, own_cron=False, call=call)
    return _summarize(outcomes) if outcomes else None


def _start_run_profile(run_profile_id: str, call: Call) -> TickOutcome:
    try:
        outcomes = orchestrate.selected(
            [run_profile_id], source=Trigger.CRON, actor=SYSTEM, call=call
        )
    except OrbitError as error:
        return Tick.REFUSED, {"code": error.code, "detail": error.detail}
    return _summarize(outcomes)


def _summarize(outcomes: Sequence[ProfileOutcome]) -> TickOutcome:
    counts = orchestrate.counts(outcomes)
    if counts.keys() & {"started", "queued"}:
        tick = Tick.STARTED
    else:
        tick = Tick.SKIPPED if "skipped" in counts else Tick.REFUSED
    detail: dict[str, Any] = {
        "outcomes": counts,
        "results": [orchestrate.to_dict(outcome) for outcome in outcomes[:MOST_RESULTS]],
    }
    # Of the rest keep only the ids of those that did not start.
    others: dict[str, list[str]] = {}
    for outcome in outcomes[MOST_RESULTS:]:
        if outcome.outcome != "started":
            others.setdefault(outcome.outcome, []).append(outcome.run_profile_id)
    if others:
        detail["others"] = others
    if tick != Tick.STARTED:
        detail["detail"] = next(outcome.detail for outcome in outcomes if outcome.detail)
    return tick, detail
