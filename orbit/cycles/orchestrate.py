"""Run-profile orchestration: a cycle for every run profile whose turn it is, each with its own outcome."""

import logging
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from governance.access.actors import Actor
from governance.kernel.errors import OrbitError
from governance.namespaces.gate import GloballyPaused, NamespaceDraining, NamespaceHalted
from orbit import boundary
from orbit.cycles import trigger
from orbit.errors import CycleActive, Disabled
from orbit.models import RunProfile
from orbit.states import State, Trigger

log = logging.getLogger(__name__)

_OUTCOMES: dict[type[OrbitError], str] = {
    CycleActive: "skipped",
    NamespaceHalted: "halted",
    NamespaceDraining: "halted",
    GloballyPaused: "paused",
    Disabled: "disabled",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one run profile: ``started`` (or resumed), ``skipped``, ``halted``, ``paused``, ``disabled`` or ``invalid``; ``detail`` says why."""

    run_profile_id: str
    outcome: str
    cycle_run_id: UUID | None = None
    detail: str = ""


def all_enabled(*, source: Trigger, actor: Actor) -> list[Outcome]:
    """Start a cycle for each enabled run profile that ``actor`` sees and that has no cron of its own, in the order of their ids.

    Nothing is raised for one of them: each has its own outcome and, in a surrounding transaction, its own savepoint. Of several in
    one namespace the first starts.
    """
    enabled = RunProfile.objects.filter(actor.filter(), state=State.ENABLED, hidden=False).order_by("run_profile_id")
    with_cron = enabled.values_list("run_profile_id", "document__execution_policy__cron")
    return [_one(run_profile_id, source=source, actor=actor) for run_profile_id, cron in with_cron if not cron]


def _one(run_profile_id: str, *, source: Trigger, actor: Actor) -> Outcome:
    # A tick runs in a worker's main thread, whose supervisor waits for a sign of life: thousands of run profiles take their time.
    boundary.process.stamp()
    try:
        with transaction.atomic():
            return _start(run_profile_id, source=source, actor=actor)
    except Exception as error:
        log.exception("The run profile %s can't be started.", run_profile_id)
        return Outcome(run_profile_id, "invalid", detail=f"{type(error).__name__}: see the log.")


def _start(run_profile_id: str, *, source: Trigger, actor: Actor) -> Outcome:
    try:
        started = trigger.start(namespace=None, source=source, actor=actor, run_profile_id=run_profile_id)
    except OrbitError as error:
        # Caught inside the savepoint: what a refused trigger put on record stays.
        return Outcome(run_profile_id, _OUTCOMES.get(type(error), "invalid"), detail=error.detail)
    return Outcome(run_profile_id, "started", cycle_run_id=started.cycle_id, detail="resumed" if started.resumed else "")
