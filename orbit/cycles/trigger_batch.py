"""Start many cycles with one call: each trigger has an outcome of its own.

Documents are read outside of transactions. A part of the triggers is one short transaction: it
checks that its documents are still current, reads the gate, and inserts. A call with an id can be
repeated after a crash: each trigger's cycle keeps an id made of the call's and its place, so what
was started is found again, and it keeps what it resumed. ``Call.may_go_on`` keeps equal calls
apart.
"""

import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID, uuid5

from django.db.models import Q

from governance import audit
from governance.access import still_allowed
from governance.access.actors import Actor, NamespaceUnknown
from governance.access.roles import Scope
from governance.access.still_allowed import Lost
from governance.audit.actions import Action
from governance.kernel.errors import OrbitError
from governance.namespaces import gate
from orbit.cycles import bridge, creation, run_profile_slices
from orbit.cycles.bridge import CycleContext
from orbit.cycles.creation import NewCycle
from orbit.cycles.orchestrate import Call, Unfinished
from orbit.cycles.placing import Placing
from orbit.cycles.trigger import DEFAULT_NAMESPACE, ensure_matches
from orbit.errors import CycleActive, Disabled, RunProfileUnknown
from orbit.models import RunProfile
from orbit.pipeline.contract import Payload
from orbit.states import Cycle, Trigger

MOST = 1_000
#: A part of so many triggers is one transaction; of fewer, if their documents are large as stored.
PART, PART_BYTES = 100, 1024 * 1024
# How often run profiles are read again because they were edited since.
_READS = 5
# An audit entry keeps so many characters of a detail. A halt's reason may be long, and each refused
# trigger repeats it.
_AUDITED = 200
_EDITED = "It is edited all the time. Trigger it again."


@dataclass(frozen=True, slots=True)
class BatchTrigger:
    """One trigger: of a run profile, or a raw one."""

    namespace: str | None = None
    run_profile_id: str | None = None
    payload: Payload | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one trigger. ``code`` and ``detail`` are those of a single one's refusal."""

    outcome: str
    cycle_run_id: UUID | None = None
    namespace: str | None = None
    code: str = ""
    detail: str = ""


def start(
    triggers: Sequence[BatchTrigger],
    *,
    source: Trigger,
    actor: Actor,
    reason: str = "",
    traceparent: str | None = None,
    call: Call | None = None,
) -> list[Outcome]:
    """Start or queue a cycle for each of ``triggers``; return their outcomes, in the same order.

    The first of each namespace starts and the others queue behind it, in their order; where another
    cycle is active, they are skipped. Don't call it in a transaction.
    Raises NotAllowed, also between two parts or tries if ``actor`` has lost anything; Unfinished
    if the time of ``call`` is up or another process makes it: what was committed stays.
    """
    actor.require(Scope.OPERATE)
    return _Batch(triggers, source, actor, reason, traceparent, call or Call()).run()


class _Batch:
    """One call. What a part decided is kept here after its commit."""

    def __init__(
        self,
        triggers: Sequence[BatchTrigger],
        source: Trigger,
        actor: Actor,
        reason: str,
        traceparent: str | None,
        call: Call,
    ) -> None:
        self.triggers, self.source, self.actor = triggers, source, actor
        self.reason, self.traceparent, self.call = reason, traceparent, call
        self.outcomes: dict[int, Outcome] = {}
        self.taken: set[str] = set()  # namespaces where this call has created cycles
        self.has_decided = False  # anything that an earlier try had not

    def run(self) -> list[Outcome]:
        seconds = self.call.seconds
        ends_at = math.inf if seconds is None else time.monotonic() + seconds
        for part in self._parts():
            for read in range(_READS):
                self._write(part, in_order=read < _READS - 1)
                if not (part := [place for place in part if place not in self.outcomes]):
                    break
            for place in part:
                self.outcomes[place] = Outcome("invalid", code="stale", detail=_EDITED)
            # A repeated call gets on, however short its time is.
            if (
                self.has_decided
                and time.monotonic() > ends_at
                and len(self.outcomes) < len(self.triggers)
            ):
                if self.call.id is not None:
                    raise Unfinished
                break
        late = Outcome("skipped", code="late", detail="The call's time was up. Trigger it again.")
        return [self.outcomes.get(place, late) for place in range(len(self.triggers))]

    def _parts(self) -> Iterator[list[int]]:
        names = {each.run_profile_id for each in self.triggers if each.run_profile_id is not None}
        chosen = Q(run_profile_id__in=sorted(names))
        listed = run_profile_slices.listed(chosen, self.actor) if names else []
        sizes = {row.name: row.stored_bytes + row.profile_bytes for row in listed}
        part: list[int] = []
        size = 0
        for place, each in enumerate(self.triggers):
            more = sizes.get(each.run_profile_id or "", 0)
            if part and (len(part) == PART or size + more > PART_BYTES):
                yield part
                part, size = [], 0
            part.append(place)
            size += more
        yield part

    def _write(self, part: Sequence[int], *, in_order: bool) -> None:
        contexts, refused = self._read(part)
        with audit.transaction():
            if not self.call.may_go_on():
                raise Unfinished
            if self.outcomes:  # the caller may have been disabled since
                still_allowed.ensure(self.actor, Scope.OPERATE)
            creation.hold_configuration()
            decided = self._created(part)
            taken = {str(outcome.namespace) for outcome in decided.values()}
            decided |= self._resumed(part)
            left = [place for place in part if place not in decided]
            contexts = {place: contexts[place] for place in left if place in contexts}
            decided |= {place: refused[place] for place in left if place in refused}
            decided |= self._stopped(contexts)
            may_start = {at: each for at, each in contexts.items() if at not in decided}
            cycles = {
                place: NewCycle(
                    contexts[place],
                    self.source,
                    self.actor.name,
                    self.triggers[place].payload,
                    call=self._id(place),
                    traceparent=self.traceparent,
                )
                for place in self._current(may_start, in_order=in_order)
            }
            placing = Placing(taken=self.taken | taken)
            decided |= self._place(cycles, placing)
            placing.finish(self.source)
            # What an earlier try has started is in that try's entry.
            if outcomes := [decided[place] for place in left if place in decided]:
                self._audit(outcomes)
        self.has_decided = self.has_decided or bool(left)
        self.outcomes |= decided
        self.taken |= taken | placing.taken

    def _place(self, cycles: Mapping[int, NewCycle], placing: Placing) -> dict[int, Outcome]:
        placed = placing.place(list(cycles.values()))
        outcomes: dict[int, Outcome] = {}
        resumed: dict[str, Any] = {}
        for place, cycle in cycles.items():
            became, namespace = placed[cycle.id], cycle.context.namespace
            code = CycleActive.code if became.outcome == "skipped" else ""
            outcomes[place] = Outcome(
                became.outcome, became.cycle_id, namespace, code=code, detail=became.detail
            )
            if became.resumes(cycle):
                resumed[str(place)] = became.kept(namespace)
        if resumed:
            self.call.keep(resumed)
        return outcomes

    def _read(self, part: Sequence[int]) -> tuple[dict[int, CycleContext], dict[int, Outcome]]:
        """Return the contexts of the triggers of ``part``, and why the others have none."""
        names = {self.triggers[place].run_profile_id for place in part} - {None}
        rows = RunProfile.objects.select_related("profile").filter(
            self.actor.filter(), run_profile_id__in=names, hidden=False
        )
        profiles = {row.run_profile_id: row for row in rows} if names else {}
        contexts: dict[int, CycleContext] = {}
        refused: dict[int, Outcome] = {}
        # Made once for equal triggers: a document may be large.
        made: dict[tuple[str | None, str | None], CycleContext | Outcome] = {}
        for place in part:
            one = self.triggers[place]
            key = one.run_profile_id, one.namespace
            if key not in made:
                made[key] = self._context(one, profiles)
            context = made[key]
            if isinstance(context, Outcome):
                refused[place] = context
            else:
                contexts[place] = context
        return contexts, refused

    def _context(
        self, one: BatchTrigger, profiles: Mapping[str, RunProfile]
    ) -> CycleContext | Outcome:
        name = one.run_profile_id
        row = profiles.get(name or "")
        # Also of a refusal: its answer is only for who sees the run profile.
        home = row.namespace_id if row else None
        try:
            if name is None:
                namespace = DEFAULT_NAMESPACE if one.namespace is None else one.namespace
                self.actor.require_namespace(namespace)
                return bridge.raw_context(namespace)
            if row is None:
                raise RunProfileUnknown(f"There is no run profile {name!r}.")
            context = bridge.context_of(row)
            ensure_matches(context, one.namespace)
        except Disabled as error:
            return _refused("disabled", error, home)
        except OrbitError as error:
            return _refused("invalid", error, home)
        except ValueError as error:  # its document has no canonical form
            return Outcome("invalid", None, home, "invalid_document", f"{error}"[:500])
        return context

    def _id(self, place: int) -> UUID | None:
        return None if self.call.id is None else uuid5(self.call.id, str(place))

    def _created(self, part: Sequence[int]) -> dict[int, Outcome]:
        """Return the outcomes of the triggers that an earlier try of the call has started.

        Raises Lost if the caller doesn't see one of them any more.
        """
        places = {uuid5(self.call.id, str(at)): at for at in part} if self.call.id else {}
        rows = creation.of_calls(list(places)) if places else []
        self._ensure_seen(namespace for _, _, namespace, _ in rows)
        return {
            places[call]: Outcome(
                "queued" if status == Cycle.QUEUED else "started", cycle_id, namespace
            )
            for call, cycle_id, namespace, status in rows
        }

    def _resumed(self, part: Sequence[int]) -> dict[int, Outcome]:
        """Return the same of those that resumed a cycle."""
        kept = self.call.kept()
        rows = {place: kept[str(place)] for place in part if str(place) in kept}
        self._ensure_seen(namespace for _, namespace, _ in rows.values())
        return {
            place: Outcome("started", UUID(cycle_id), namespace, detail=detail)
            for place, (cycle_id, namespace, detail) in rows.items()
        }

    def _ensure_seen(self, namespaces: Iterable[str]) -> None:
        if not all(self.actor.sees(namespace) for namespace in namespaces):
            raise Lost("You no longer see a namespace in which this call has started a cycle.")

    def _stopped(self, contexts: Mapping[int, CycleContext]) -> dict[int, Outcome]:
        """Return the outcomes of triggers whose namespace is stopped or doesn't exist."""
        paused, refusals = gate.read(sorted({each.namespace for each in contexts.values()}))
        decided = {}
        for place, context in contexts.items():
            if paused is not None:
                decided[place] = _refused("paused", paused, context.namespace)
            elif context.namespace not in refusals:
                detail = f"There is no namespace {context.namespace!r}."
                decided[place] = _refused("invalid", NamespaceUnknown(detail))
            elif (refusal := refusals[context.namespace]) is not None:
                decided[place] = _refused("halted", refusal, context.namespace)
        return decided

    def _current(self, contexts: Mapping[int, CycleContext], *, in_order: bool) -> list[int]:
        """Return those whose documents are still the ones that were read.

        ``in_order``: leave out what comes after another in its namespace, too.
        """
        profiles = {each.run_profile_id: each for each in contexts.values() if each.run_profile_id}
        current = {None, *(bridge.current(list(profiles.values())) if profiles else ())}
        chosen: list[int] = []
        passed: set[str] = set()
        for place, context in contexts.items():
            if context.run_profile_id not in current:
                passed.add(context.namespace)
            elif not (in_order and context.namespace in passed):
                chosen.append(place)
        return chosen

    def _audit(self, outcomes: Sequence[Outcome]) -> None:
        # One entry for the transaction, however many triggers it has.
        namespaces = {outcome.namespace for outcome in outcomes}
        audit.record(
            Action.CYCLE_TRIGGERED,
            actor=self.actor.name,
            object_id=f"{len(outcomes)} triggers",
            namespace=namespaces.pop() if len(namespaces) == 1 else None,
            after={
                "trigger": str(self.source),
                "outcomes": dict(Counter(outcome.outcome for outcome in outcomes)),
                "results": [
                    {
                        name: str(value)[:_AUDITED]
                        for name, value in asdict(outcome).items()
                        if value
                    }
                    for outcome in outcomes
                ],
            },
            reason=self.reason,
        )


def _refused(outcome: str, error: OrbitError, namespace: str | None = None) -> Outcome:
    return Outcome(outcome, namespace=namespace, code=error.code, detail=error.detail)
