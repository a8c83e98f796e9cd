"""Start cycles for many run profiles, each with its own outcome.

Everything is one transaction, of a dozen statements for any number of run profiles.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from django.db.models import Q

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel.errors import OrbitError
from governance.namespaces import gate
from orbit import interrupts, queue
from orbit.cycles import bridge, creation, skip_log
from orbit.cycles.creation import NewCycle
from orbit.cycles.skip_log import Skip
from orbit.errors import Disabled, RunProfileUnknown
from orbit.models import RunProfile
from orbit.states import Cycle, ProfileState, Trigger

log = logging.getLogger(__name__)

#: What may become of a run profile.
OUTCOMES = ("started", "queued", "skipped", "halted", "paused", "disabled", "invalid")
# A wake-up lets a runner fill all its slots, and maintenance adds what is missing.
_MOST_WAKEUPS = 4
_MOST_AUDITED = 100
_STAMP_EVERY = 50
# If a cycle that blocks a namespace ends meanwhile, all of that namespace is tried once more.
_TRIES = 2


@dataclass(frozen=True, slots=True)
class ProfileOutcome:
    """What became of one run profile; ``detail`` says why."""

    run_profile_id: str
    outcome: str
    cycle_run_id: UUID | None = None  # started, queued or resumed
    detail: str = ""


def all_enabled(
    *, source: Trigger, actor: Actor, own_cron: bool = True, reason: str = ""
) -> list[ProfileOutcome]:
    """Start or queue a cycle for each enabled run profile that ``actor`` may see."""
    chosen = Q(state=ProfileState.ENABLED)
    if not own_cron:  # leave out those with a cron of their own
        chosen &= Q(document__execution_policy__cron__isnull=True)
    return _orchestrate(chosen, None, source=source, actor=actor, reason=reason)


def selected(
    run_profile_ids: Sequence[str], *, source: Trigger, actor: Actor, reason: str = ""
) -> list[ProfileOutcome]:
    """Do the same for named run profiles, also disabled ones. Raises RunProfileUnknown."""
    ids = sorted(set(run_profile_ids))
    return _orchestrate(Q(run_profile_id__in=ids), ids, source=source, actor=actor, reason=reason)


def counts(outcomes: Sequence[ProfileOutcome]) -> dict[str, int]:
    """Return how often each outcome occurs."""
    return dict(Counter(outcome.outcome for outcome in outcomes))


def to_dict(outcome: ProfileOutcome) -> dict[str, str]:
    """Return the outcome as JSON, without empty fields."""
    return {name: str(value) for name, value in asdict(outcome).items() if value}


def _orchestrate(
    chosen: Q, ids: list[str] | None, *, source: Trigger, actor: Actor, reason: str
) -> list[ProfileOutcome]:
    actor.require(Scope.OPERATE)
    with audit.transaction():
        creation.hold_configuration()
        run_profiles = list(
            RunProfile.objects.filter(chosen, actor.filter(), hidden=False)
            .order_by("run_profile_id")
            .prefetch_related("profile")
        )
        missing = set(ids or ()) - {run_profile.run_profile_id for run_profile in run_profiles}
        if missing:
            names = ", ".join(repr(name) for name in sorted(missing)[:10])
            raise RunProfileUnknown(f"There is no run profile {names}.")
        outcomes = _Orchestration(run_profiles, source, actor).run()
        if source != Trigger.CRON:  # those are in the tick ledger
            _audit(run_profiles, outcomes, source=source, actor=actor, reason=reason)
        return outcomes


class _Orchestration:
    def __init__(self, run_profiles: list[RunProfile], source: Trigger, actor: Actor) -> None:
        self.run_profiles, self.source, self.actor = run_profiles, source, actor
        self.outcomes: dict[str, ProfileOutcome] = {}  # by run profile id
        self.wakeups = 0

    def run(self) -> list[ProfileOutcome]:
        cycles = self._new_cycles()
        for _ in range(_TRIES):
            if cycles:
                self._start(cycles)
                cycles = self._undecided(cycles)
        for cycle in cycles:
            self._set(
                cycle, "skipped", detail=f"A cycle in {cycle.context.namespace} is about to end."
            )
        for _ in range(min(self.wakeups, _MOST_WAKEUPS)):
            queue.wake()
        return [self.outcomes[run_profile.run_profile_id] for run_profile in self.run_profiles]

    def _new_cycles(self) -> list[NewCycle]:
        """Return the cycles that may start; decide the others."""
        paused = gate.everything_paused()
        namespaces = {run_profile.namespace_id for run_profile in self.run_profiles}
        stops = {} if paused or not namespaces else gate.refusals(namespaces)
        cycles = []
        for number, run_profile in enumerate(self.run_profiles):
            if number % _STAMP_EVERY == 0:
                # A tick runs in a worker's main thread, whose supervisor expects heartbeats.
                interrupts.process.stamp()
            stop = paused or stops.get(run_profile.namespace_id)
            disabled = ProfileState.DISABLED in {run_profile.state, run_profile.profile.state}
            name = run_profile.run_profile_id
            if stop is not None and not disabled:
                self.outcomes[name] = ProfileOutcome(
                    name, "paused" if paused else "halted", detail=stop.detail
                )
                continue
            try:
                cycles.append(
                    NewCycle(bridge.context_of(run_profile), self.source, self.actor.name)
                )
            except Disabled as error:
                self.outcomes[name] = ProfileOutcome(name, "disabled", detail=error.detail)
            except Exception as error:
                # Whatever is wrong with one of them, it must not stop the others.
                log.exception("The run profile %s can't be started.", name)
                self.outcomes[name] = ProfileOutcome(name, "invalid", detail=_message(error))
        return cycles

    def _start(self, cycles: Sequence[NewCycle]) -> None:
        # The first of each namespace, by id, starts and the others queue behind it. If a cycle was
        # active there before, it may be resumed; all others are skipped.
        first: dict[str, NewCycle] = {}
        for cycle in cycles:
            first.setdefault(cycle.context.namespace, cycle)
        started = creation.insert(list(first.values()), Cycle.PENDING)
        behind = [
            cycle
            for cycle in cycles
            if cycle.id not in started and first[cycle.context.namespace].id in started
        ]
        creation.insert(behind, Cycle.QUEUED)
        for cycle in cycles:
            if cycle.id in started:
                self.wakeups += 1
                self._set(cycle, "started", cycle.id)
        for cycle in behind:
            namespace = cycle.context.namespace
            self._set(cycle, "queued", cycle.id, f"It waits for its turn in {namespace}.")
        self._resume_or_skip(self._undecided(cycles))

    def _resume_or_skip(self, blocked: Sequence[NewCycle]) -> None:
        if not blocked:
            return
        active_cycles = creation.active_cycles({cycle.context.namespace for cycle in blocked})
        skips = []
        for cycle in blocked:
            active = active_cycles.get(cycle.context.namespace)
            run_profile_id = cycle.context.run_profile_id
            if active is None:
                continue  # it has just ended: try once more
            if active.is_resumed_by(run_profile_id):
                self.wakeups += 1
                self._set(cycle, "started", active.id, "resumed")
            else:
                skips.append(Skip(active.namespace, str(active.id), run_profile_id))
                self._set(
                    cycle,
                    "skipped",
                    detail=creation.refusal(active.namespace, active).detail,
                )
        if skips:
            skip_log.record_skips(skips, trigger=self.source)

    def _undecided(self, cycles: Sequence[NewCycle]) -> list[NewCycle]:
        return [cycle for cycle in cycles if str(cycle.context.run_profile_id) not in self.outcomes]

    def _set(
        self, cycle: NewCycle, outcome: str, cycle_id: UUID | None = None, detail: str = ""
    ) -> None:
        name = str(cycle.context.run_profile_id)
        self.outcomes[name] = ProfileOutcome(name, outcome, cycle_id, detail)


def _audit(
    run_profiles: Sequence[RunProfile],
    outcomes: Sequence[ProfileOutcome],
    *,
    source: Trigger,
    actor: Actor,
    reason: str,
) -> None:
    # One entry for the call, however many run profiles it has.
    namespaces = {run_profile.namespace_id for run_profile in run_profiles}
    audit.record(
        Action.CYCLE_TRIGGERED,
        actor=actor.name,
        object_type="run_profile",
        object_id=run_profiles[0].run_profile_id
        if len(run_profiles) == 1
        else f"{len(run_profiles)} run profiles",
        namespace=namespaces.pop() if len(namespaces) == 1 else None,
        after={
            "trigger": str(source),
            "outcomes": counts(outcomes),
            "results": [to_dict(outcome) for outcome in outcomes[:_MOST_AUDITED]],
        },
        reason=reason,
    )


def _message(error: Exception) -> str:
    if isinstance(error, OrbitError):
        return error.detail
    return f"{type(error).__name__}: {error}"[:500]
