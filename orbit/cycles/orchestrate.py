"""Run-profile orchestration: cycles for many run profiles in one call, each with its own outcome.

Everything is one transaction of a dozen statements, however many run profiles there are: what is read is read once, what is written is
written in bulk. Of the run profiles that share a namespace the first, by id, starts; the others are queued behind it and take their turns as
the cycle before them ends (``turns``). A namespace in which a cycle was active before the call skips all of its own. After a crash all of it
has happened, or nothing.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from django.db import connection
from django.db.models import Q

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel.errors import OrbitError
from governance.namespaces import gate
from orbit import interrupts, queue
from orbit.cycles import bridge, creation, skip_log, trigger
from orbit.cycles.creation import ActiveCycle, NewCycle
from orbit.cycles.skip_log import Skip
from orbit.errors import Disabled, RunProfileUnknown
from orbit.models import RunProfile
from orbit.states import Cycle, ProfileState, Trigger

log = logging.getLogger(__name__)

#: What may become of a run profile.
OUTCOMES = ("started", "queued", "skipped", "halted", "paused", "disabled", "invalid")
# A wake-up is for a whole shift, and the keeper adds what is missing.
_MOST_WAKEUPS = 4
_MOST_ON_TRAIL = 100
_STAMPED = 50
# A cycle in the way that ends between two statements leaves the way free: then all of its namespace is tried once more.
_TRIES = 2


@dataclass(frozen=True, slots=True)
class ProfileOutcome:
    """What became of one run profile: one of ``OUTCOMES`` (``started`` may be a cycle that was resumed); ``detail`` says why."""

    run_profile_id: str
    outcome: str
    cycle_run_id: UUID | None = None
    detail: str = ""


def all_enabled(
    *,
    source: Trigger,
    actor: Actor,
    own_cron: bool = True,
    reason: str = "",
) -> list[ProfileOutcome]:
    """Start, or queue, a cycle for each enabled run profile that ``actor`` sees, in the order of their ids.

    Without ``own_cron`` those that have a cron of their own are left out. Nothing is raised for one of them.
    """
    chosen = Q(state=ProfileState.ENABLED)
    if not own_cron:
        chosen &= Q(document__execution_policy__cron__isnull=True)
    return _orchestrate(chosen, None, source=source, actor=actor, reason=reason)


def selected(
    run_profile_ids: Sequence[str],
    *,
    source: Trigger,
    actor: Actor,
    reason: str = "",
) -> list[ProfileOutcome]:
    """Do the same for the run profiles that are named, disabled ones too, which then say so. Raises RunProfileUnknown, with nothing started."""
    wanted = sorted(set(run_profile_ids))
    return _orchestrate(
        Q(run_profile_id__in=wanted), wanted, source=source, actor=actor, reason=reason
    )


def _orchestrate(
    chosen: Q,
    wanted: list[str] | None,
    *,
    source: Trigger,
    actor: Actor,
    reason: str,
) -> list[ProfileOutcome]:
    actor.require(Scope.OPERATE)
    with audit.transaction():
        with connection.cursor() as cursor:
            cursor.execute(trigger.HOLD_CONFIGURATION)
        rows = (
            RunProfile.objects.filter(chosen, actor.filter(), hidden=False)
            .order_by("run_profile_id")
            .prefetch_related("profile")
        )
        call = _Call(list(rows), source, actor)
        if wanted is not None and (
            missing := set(wanted) - {row.run_profile_id for row in call.rows}
        ):
            raise RunProfileUnknown(
                f"There is no run profile {', '.join(repr(name) for name in sorted(missing)[:10])}."
            )
        outcomes = call.run()
        if source != Trigger.CRON:
            call.audit(outcomes, reason)
        return outcomes


class _Call:
    """One orchestration: what it found, and what became of each, by run profile id."""

    def __init__(self, rows: list[RunProfile], source: Trigger, actor: Actor) -> None:
        self.rows, self.source, self.actor = rows, source, actor
        self.found: dict[str, ProfileOutcome] = {}
        self.wakeups = 0

    def run(self) -> list[ProfileOutcome]:
        """Start, queue or skip each; return the outcomes in the order of the rows."""
        waiting = self._drafts()
        for _ in range(_TRIES):
            if waiting:
                self._start(waiting)
                waiting = [
                    birth
                    for birth in waiting
                    if str(birth.context.run_profile_id) not in self.found
                ]
        for birth in waiting:
            self._set(
                birth, "skipped", detail=f"A cycle in {birth.context.namespace} is about to end."
            )
        for _ in range(min(self.wakeups, _MOST_WAKEUPS)):
            queue.wake()
        return [self.found[row.run_profile_id] for row in self.rows]

    def _drafts(self) -> list[NewCycle]:
        """Return the cycles that may start; what stops or spoils a run profile is its outcome."""
        paused = gate.everything_paused()
        stops = (
            {}
            if paused or not self.rows
            else gate.refusals({row.namespace_id for row in self.rows})
        )
        drafts = []
        for number, row in enumerate(self.rows):
            if number % _STAMPED == 0:
                # A tick runs in a worker's main thread, whose supervisor waits for a sign of life.
                interrupts.process.stamp()
            stop = paused or stops.get(row.namespace_id)
            try:
                if stop is None or ProfileState.DISABLED in {row.state, row.profile.state}:
                    drafts.append(NewCycle(bridge.context_of(row), self.source, self.actor.name))
                else:
                    self.found[row.run_profile_id] = ProfileOutcome(
                        row.run_profile_id, "paused" if paused else "halted", detail=stop.detail
                    )
            except Disabled as error:
                self.found[row.run_profile_id] = ProfileOutcome(
                    row.run_profile_id, "disabled", detail=error.detail
                )
            except Exception as error:
                # Whatever is wrong with one of them, it must not stop the others.
                log.exception("The run profile %s can't be started.", row.run_profile_id)
                self.found[row.run_profile_id] = ProfileOutcome(
                    row.run_profile_id, "invalid", detail=f"{_said(error)}"
                )
        return drafts

    def _start(self, waiting: Sequence[NewCycle]) -> None:
        """Start the first of each namespace and queue the others behind it; where a cycle is active, resume it or skip."""
        first: dict[str, NewCycle] = {}
        for birth in waiting:
            first.setdefault(birth.context.namespace, birth)
        made = creation.insert(list(first.values()), Cycle.PENDING)
        behind = [
            birth
            for birth in waiting
            if birth.id not in made and first[birth.context.namespace].id in made
        ]
        creation.insert(behind, Cycle.QUEUED)
        for birth in waiting:
            if birth.id in made:
                self.wakeups += 1
                self._set(birth, "started", birth.id)
        for birth in behind:
            self._set(
                birth, "queued", birth.id, f"It waits for its turn in {birth.context.namespace}."
            )
        met = [birth for birth in waiting if str(birth.context.run_profile_id) not in self.found]
        if met:
            self._meet(met, creation.active_cycles({birth.context.namespace for birth in met}))

    def _meet(self, met: Sequence[NewCycle], active: dict[str, ActiveCycle]) -> None:
        """Resume the cycles that the same trigger came again for, skip all others whose namespace has an active one."""
        skips = []
        for birth in met:
            cycle, run_profile_id = (
                active.get(birth.context.namespace),
                birth.context.run_profile_id,
            )
            if cycle is None:
                continue
            if cycle.is_resumed_by(run_profile_id):
                self.wakeups += 1
                self._set(birth, "started", cycle.id, "resumed")
            else:
                skips.append(Skip(cycle.namespace, str(cycle.id), run_profile_id))
                self._set(
                    birth,
                    "skipped",
                    detail=f"The cycle {cycle.id} is {cycle.status} in {cycle.namespace}: at most one runs there at a time.",
                )
        if skips:
            skip_log.record_skips(skips, trigger=self.source)

    def _set(
        self, birth: NewCycle, outcome: str, cycle_id: UUID | None = None, detail: str = ""
    ) -> None:
        name = str(birth.context.run_profile_id)
        self.found[name] = ProfileOutcome(name, outcome, cycle_id, detail)

    def audit(self, outcomes: Sequence[ProfileOutcome], reason: str) -> None:
        """Put the call on record: one entry, with the outcomes counted, and the first of them named."""
        namespaces = {row.namespace_id for row in self.rows}
        audit.record(
            Action.CYCLE_TRIGGERED,
            actor=self.actor.name,
            object_type="run_profile",
            object_id=self.rows[0].run_profile_id
            if len(self.rows) == 1
            else f"{len(self.rows)} run profiles",
            namespace=namespaces.pop() if len(namespaces) == 1 else None,
            after={
                "trigger": str(self.source),
                "outcomes": counts(outcomes),
                "results": [to_dict(one) for one in outcomes[:_MOST_ON_TRAIL]],
            },
            reason=reason,
        )


def counts(outcomes: Sequence[ProfileOutcome]) -> dict[str, int]:
    """Return how many there are of each outcome that occurs."""
    return dict(Counter(one.outcome for one in outcomes))


def to_dict(outcome: ProfileOutcome) -> dict[str, str]:
    """Return the outcome as JSON has it, without what it lacks."""
    return {name: str(value) for name, value in asdict(outcome).items() if value}


def _said(error: Exception) -> str:
    return (
        error.detail if isinstance(error, OrbitError) else f"{type(error).__name__}: {error}"[:500]
    )
