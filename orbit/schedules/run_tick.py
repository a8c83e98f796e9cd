"""What a tick does: it starts what it is for and puts the outcome on record, in one transaction."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from governance.access.actors import SYSTEM
from governance.kernel.errors import OrbitError
from governance.namespaces import gate
from orbit.cycles import clusters, orchestrate, trigger
from orbit.cycles.orchestrate import ProfileOutcome
from orbit.errors import CycleActive
from orbit.schedules.rows import CYCLES, OF_RUN_PROFILE, RUN_PROFILES
from orbit.states import Tick, Trigger

MOST_RESULTS = 100

TAKE = "SELECT schedule, detail, coalesce(%s, now()) FROM orbit_crontick WHERE id = %s AND outcome = 'due' FOR UPDATE SKIP LOCKED"
DECIDE = "UPDATE orbit_crontick SET outcome = %s, detail = detail || %s, decided_at = now() WHERE id = %s AND outcome = 'due'"

Verdict = tuple[Tick, dict[str, Any]]


def perform(tick_id: UUID, *, now: datetime | None = None) -> None:
    """Do what the tick is for and put its outcome on record, in one transaction.

    Nothing happens where it has its outcome, where another worker is at it, or where it belongs to a schedule that only a newer release
    knows. Nor where the environment pauses this process while another cluster isn't paused: the tick comes again, to that one. After a crash
    it is ``due`` as before; once it is later than its schedule allows, it ends as ``late``.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(TAKE, [now, tick_id])
        row = cursor.fetchone()
        if row is None:
            return
        name, detail, moment = row
        detail = json.loads(detail)
        if "expires_at" in detail and moment > datetime.fromisoformat(detail["expires_at"]):
            found: Verdict | None = (Tick.LATE, {"detail": "No worker came to it in time."})
        elif gate.paused_here() and clusters.any_unpaused():
            found = None
        else:
            found = _do(name)
        if found is not None:
            outcome, said = found
            cursor.execute(DECIDE, [outcome, json.dumps(said, default=str), tick_id])


def _do(name: str) -> Verdict | None:
    if name == CYCLES:
        return _cycles()
    if name == RUN_PROFILES:
        return _run_profiles() or (
            Tick.SKIPPED,
            {"detail": "No run profile without a cron of its own is enabled."},
        )
    if name.startswith(OF_RUN_PROFILE):
        return _one(name.removeprefix(OF_RUN_PROFILE))
    return None


def _cycles() -> Verdict:
    """Start a raw cycle in ``default``; while run profiles have no tick of their own, and some are there, those instead."""
    if not settings.ORBIT_RUN_PROFILE_CRON_SCHEDULE and (found := _run_profiles()):
        return found
    try:
        started = trigger.start(
            namespace=trigger.DEFAULT_NAMESPACE, source=Trigger.CRON, actor=SYSTEM
        )
    except OrbitError as error:
        return (Tick.SKIPPED if isinstance(error, CycleActive) else Tick.REFUSED), {
            "code": error.code,
            "detail": error.detail,
            **error.extra,
        }
    return Tick.STARTED, {"cycle_run_id": started.cycle_id}


def _run_profiles() -> Verdict | None:
    outcomes = orchestrate.all_enabled(source=Trigger.CRON, actor=SYSTEM, own_cron=False)
    return _verdict(outcomes) if outcomes else None


def _one(run_profile_id: str) -> Verdict:
    try:
        return _verdict(orchestrate.selected([run_profile_id], source=Trigger.CRON, actor=SYSTEM))
    except OrbitError as error:
        return Tick.REFUSED, {"code": error.code, "detail": error.detail}


def _verdict(outcomes: Sequence[ProfileOutcome]) -> Verdict:
    """Return what the tick came to: the first hundred results whole, of the others what did not start, by outcome."""
    counts = orchestrate.counts(outcomes)
    tick = (
        Tick.STARTED
        if counts.keys() & {"started", "queued"}
        else Tick.SKIPPED
        if "skipped" in counts
        else Tick.REFUSED
    )
    said: dict[str, Any] = {
        "outcomes": counts,
        "results": [orchestrate.to_dict(one) for one in outcomes[:MOST_RESULTS]],
    }
    others: dict[str, list[str]] = {}
    for one in outcomes[MOST_RESULTS:]:
        if one.outcome != "started":
            others.setdefault(one.outcome, []).append(one.run_profile_id)
    if others:
        said["others"] = others
    if tick != Tick.STARTED:
        said["detail"] = next(one.detail for one in outcomes if one.detail)
    return tick, said
