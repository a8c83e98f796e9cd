"""Start cycles for many run profiles, each with its own outcome.

Documents are read and put together outside of transactions. A slice is one short transaction: it
checks that its documents are still current, reads the gate, and inserts. A call with an id can be
repeated after a crash: the unique index (call, run profile) lets it create no cycle twice.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from django.db import IntegrityError
from django.db.models import Q

from governance import audit
from governance.access import still_allowed
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel.constraints import violated
from governance.namespaces import gate
from orbit.cycles import bridge, creation, run_profile_slices
from orbit.cycles.creation import ActiveCycle, NewCycle
from orbit.cycles.placing import Placed, Placing
from orbit.cycles.run_profile_slices import Listed, Slice, SliceReader
from orbit.errors import RunProfileUnknown
from orbit.models import CycleRun, RunProfile
from orbit.states import Cycle, ProfileState, Trigger

#: What may become of a run profile.
OUTCOMES = ("started", "queued", "skipped", "halted", "paused", "disabled", "invalid")
_MOST_AUDITED = 100
# How often a run profile is read again because it was edited since.
_READS = 5


@dataclass(frozen=True, slots=True)
class ProfileOutcome:
    """What became of one run profile; ``detail`` says why."""

    run_profile_id: str
    outcome: str
    cycle_run_id: UUID | None = None  # started, queued or resumed
    detail: str = ""


class Unfinished(Exception):
    """The time is up, or another process makes this call: make it again."""


@dataclass(frozen=True, slots=True)
class Call:
    """How long a call may take, and whether it may be made again and then goes on."""

    #: None: it can't go on, so what it doesn't reach in time is skipped.
    id: UUID | None = None
    #: Asked first in each slice's transaction; False ends the call as Unfinished.
    may_go_on: Callable[[], bool] = lambda: True
    #: After this many seconds it ends; at least one slice is done.
    seconds: float | None = None
    #: What earlier tries have kept, and how to keep more in the transaction that did it.
    kept: Callable[[], dict[str, Any]] = dict
    keep: Callable[[dict[str, Any]], None] = lambda members: None


def all_enabled(
    *,
    source: Trigger,
    actor: Actor,
    own_cron: bool = True,
    reason: str = "",
    call: Call | None = None,
) -> list[ProfileOutcome]:
    """Start or queue a cycle for each enabled run profile that ``actor`` may see.

    With ``call`` it may raise Unfinished; NotAllowed between two slices, if ``actor`` has lost
    anything. Don't call it in a transaction.
    """
    return _Orchestration(_enabled(own_cron), source, actor, reason, call).run()


def any_enabled(*, own_cron: bool) -> bool:
    """Tell whether ``all_enabled`` would find a run profile."""
    return RunProfile.objects.filter(_enabled(own_cron), hidden=False).exists()


def _enabled(own_cron: bool) -> Q:
    chosen = Q(state=ProfileState.ENABLED)
    if not own_cron:  # leave out those with a cron of their own
        chosen &= Q(document__execution_policy__cron__isnull=True)
    return chosen


def selected(
    run_profile_ids: Sequence[str],
    *,
    source: Trigger,
    actor: Actor,
    reason: str = "",
    call: Call | None = None,
) -> list[ProfileOutcome]:
    """Do the same for named run profiles, also disabled ones. Raises RunProfileUnknown."""
    chosen = Q(run_profile_id__in=sorted(set(run_profile_ids)))
    return _Orchestration(chosen, source, actor, reason, call).run(required=run_profile_ids)


def counts(outcomes: Sequence[ProfileOutcome]) -> dict[str, int]:
    """Return how often each outcome occurs."""
    return dict(Counter(outcome.outcome for outcome in outcomes))


def all_visible(*, run_profile_ids: Sequence[str], cycle_ids: Sequence[str], actor: Actor) -> bool:
    """Tell whether ``actor`` sees all namespaces of earlier outcomes."""
    if actor.namespaces is None:
        return True
    # By their cycles too: a run profile may have moved since.
    cycles = CycleRun.objects.filter(pk__in=cycle_ids)
    run_profiles = RunProfile.objects.filter(run_profile_id__in=run_profile_ids)
    return not (
        cycles.exclude(actor.filter()).exists() or run_profiles.exclude(actor.filter()).exists()
    )


def to_dict(outcome: ProfileOutcome) -> dict[str, str]:
    """Return the outcome as JSON, without empty fields."""
    return {name: str(value) for name, value in asdict(outcome).items() if value}


class _Orchestration:
    """One call. What a slice decided is kept here after its commit."""

    def __init__(
        self, chosen: Q, source: Trigger, actor: Actor, reason: str, call: Call | None
    ) -> None:
        self.chosen, self.source, self.actor, self.reason = chosen, source, actor, reason
        self.call = call
        self.outcomes: dict[str, ProfileOutcome] = {}  # by run profile id
        self.taken: set[str] = set()  # namespaces where this call has created cycles
        self.busy: dict[str, ActiveCycle] = {}  # namespaces where another cycle ran before
        self.stopped: set[str] = set()
        self.began = self.collided = False

    def run(self, required: Iterable[str] = ()) -> list[ProfileOutcome]:
        self.actor.require(Scope.OPERATE)
        ends_at = self._ends_at()
        listed = run_profile_slices.listed(self.chosen, self.actor)
        self._remember_created()
        self._ensure_known(set(required) - {row.name for row in listed})
        self._read_gate(listed)
        reader = SliceReader(self.source, self.actor.name, self.call.id if self.call else None)
        for _ in range(_READS):
            waiting = self._undecided(listed)
            for part in reader.slices(_in_order(waiting), needed=self._is_needed):
                self._write(part)
                if time.monotonic() > ends_at and (left := self._undecided(waiting)):
                    return self._end_early(left)
            if not (waiting := self._undecided(waiting)):
                break
            # Edited since they were read. One that is gone doesn't belong to the call any more.
            again = self.chosen & Q(run_profile_id__in=[row.name for row in waiting])
            listed = run_profile_slices.listed(again, self.actor)
        if self.collided and self._undecided(listed):
            raise Unfinished
        for row in self._undecided(listed):
            self._set(row.name, "invalid", detail="It is edited all the time. Trigger it again.")
        return [self.outcomes[name] for name in sorted(self.outcomes)]

    def _end_early(self, left: Sequence[Listed]) -> list[ProfileOutcome]:
        if self.call and self.call.id:
            raise Unfinished
        for row in left:
            self._set(row.name, "skipped", detail="The call's time was up. Trigger it again.")
        return [self.outcomes[name] for name in sorted(self.outcomes)]

    def _ends_at(self) -> float:
        seconds = self.call.seconds if self.call else None
        return math.inf if seconds is None else time.monotonic() + seconds

    def _remember_created(self) -> None:
        if self.call is None or self.call.id is None:
            return
        for name, (cycle_id, namespace, status) in creation.of_call(self.call.id).items():
            if not self.actor.sees(namespace):
                continue  # taken away since the call began
            self.taken.add(namespace)
            self._set(name, "queued" if status == Cycle.QUEUED else "started", cycle_id)
        for name, (resumed, namespace, detail) in self.call.kept().items():
            if self.actor.sees(namespace):
                self._set(name, "started", UUID(resumed), detail)

    def _ensure_known(self, missing: set[str]) -> None:
        missing -= self.outcomes.keys()
        if not missing:
            return
        if not self.outcomes:
            names = ", ".join(repr(name) for name in sorted(missing)[:10])
            raise RunProfileUnknown(f"There is no run profile {names}.")
        for name in missing:  # others were started before a crash
            self._set(name, "invalid", detail="It was removed meanwhile.")

    def _read_gate(self, listed: Sequence[Listed]) -> None:
        # Only a hint: each transaction reads the gate again.
        namespaces = {row.namespace for row in listed}
        if namespaces:
            self.stopped = set(gate.refusals(namespaces))

    def _undecided(self, listed: Sequence[Listed]) -> list[Listed]:
        return [row for row in listed if row.name not in self.outcomes]

    def _is_needed(self, row: Listed) -> bool:
        return row.disabled or not (row.namespace in self.busy or row.namespace in self.stopped)

    def _set(self, name: str, outcome: str, cycle_id: UUID | None = None, detail: str = "") -> None:
        self.outcomes[name] = ProfileOutcome(name, outcome, cycle_id, detail)

    def _write(self, part: Slice) -> None:
        decisions = _Decisions(self, part)
        try:
            with audit.transaction():
                if self.call and not self.call.may_go_on():
                    raise Unfinished
                if self.began:  # the caller may have been disabled since
                    still_allowed.ensure(self.actor, Scope.OPERATE)
                self.began = True
                decisions.make()
        except IntegrityError as error:
            if violated(error) != "one_cycle_per_call":
                raise
            self._remember_created()  # the same call is made beside us
            self.collided = True
            return
        self.outcomes |= decisions.outcomes
        self.taken |= decisions.placing.taken
        self.busy |= decisions.placing.busy
        self.stopped -= part.namespaces - decisions.stopped


class _Decisions:
    """What becomes of the run profiles of a slice, in its transaction."""

    def __init__(self, of: _Orchestration, part: Slice) -> None:
        self.of, self.part = of, part
        self.outcomes: dict[str, ProfileOutcome] = {}
        self.stopped: set[str] = set()
        self.placing = Placing(call=of.call.id if of.call else None, taken=of.taken)

    def make(self) -> None:
        creation.hold_configuration()
        cycles = self._open()
        placed = self.placing.place(cycles)
        for cycle in cycles:
            self._set(str(cycle.context.run_profile_id), placed[cycle.id])
        resumed = {
            str(cycle.context.run_profile_id): placed[cycle.id].kept(cycle.context.namespace)
            for cycle in cycles
            if placed[cycle.id].resumes(cycle)
        }
        if resumed and self.of.call:
            self.of.call.keep(resumed)
        self.placing.finish(self.of.source)
        if self.outcomes and self.of.source != Trigger.CRON:  # those are in the tick ledger
            self._audit()

    def _open(self) -> list[NewCycle]:
        """Return the cycles that may start; decide what is stopped, refused or busy."""
        paused = gate.everything_paused()
        stops = {} if paused else gate.refusals(self.part.namespaces)
        self.stopped = self.part.namespaces if paused else set(stops)

        def is_open(row: Listed) -> bool:
            stop = paused or stops.get(row.namespace)
            if stop is not None:
                outcome = "paused" if paused else "halted"
                self.outcomes[row.name] = ProfileOutcome(row.name, outcome, detail=stop.detail)
            return stop is None

        for row, outcome, detail in self.part.refused:
            if outcome == "disabled" or is_open(row):
                self.outcomes[row.name] = ProfileOutcome(row.name, outcome, detail=detail)
        for row in self.part.unread:
            if is_open(row) and (active := self.of.busy.get(row.namespace)) is not None:
                self._set(row.name, self.placing.skip(active, row.name))
        cycles = [cycle for row, cycle in self.part.cycles if is_open(row)]
        current = bridge.current([cycle.context for cycle in cycles]) if cycles else set()
        return [cycle for cycle in cycles if cycle.context.run_profile_id in current]

    def _set(self, name: str, placed: Placed) -> None:
        self.outcomes[name] = ProfileOutcome(name, placed.outcome, placed.cycle_id, placed.detail)

    def _audit(self) -> None:
        # One entry for the transaction, however many run profiles it has.
        outcomes = [self.outcomes[name] for name in sorted(self.outcomes)]
        namespaces = self.part.namespaces
        audit.record(
            Action.CYCLE_TRIGGERED,
            actor=self.of.actor.name,
            object_type="run_profile",
            object_id=outcomes[0].run_profile_id
            if len(outcomes) == 1
            else f"{len(outcomes)} run profiles",
            namespace=next(iter(namespaces)) if len(namespaces) == 1 else None,
            after={
                "trigger": str(self.of.source),
                "outcomes": counts(outcomes),
                "results": [to_dict(outcome) for outcome in outcomes[:_MOST_AUDITED]],
            },
            reason=self.of.reason,
        )


def _in_order(listed: Sequence[Listed]) -> Iterator[Listed]:
    """Yield the first run profile of each namespace, then the others by namespace and id."""
    # So each namespace starts early, however many slices there are.
    others: list[Listed] = []
    seen: set[str] = set()
    for row in sorted(listed, key=lambda row: (row.namespace, row.name)):
        if row.namespace in seen:
            others.append(row)
        else:
            seen.add(row.namespace)
            yield row
    yield from others
