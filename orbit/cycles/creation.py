"""Create cycles, and say which active cycle is in the way."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from governance.kernel import sql
from governance.kernel.canonical import sha256_hex
from governance.kernel.identifiers import uuid7
from orbit.cycles import bridge
from orbit.cycles.bridge import CycleContext
from orbit.errors import CycleActive
from orbit.pipeline.contract import Payload
from orbit.states import Cycle, Trigger

# Limits of one statement: its text must fit into a message, and into memory several times over.
MOST_ROWS, MOST_BYTES = 1_000, 4 * 1024 * 1024

HOLD_CONFIGURATION = sql.load(__name__, "hold_configuration")
INSERT = sql.load(__name__, "insert_cycles")
OF_CALL = sql.load(__name__, "cycles_of_call")
OF_CALLS = sql.load(__name__, "cycles_of_calls")
INSERT_RERUN = sql.load(__name__, "insert_rerun")
ACTIVE = sql.load(__name__, "active_cycles")


@dataclass(frozen=True, slots=True)
class NewCycle:
    """A cycle to create. The input defaults to the context's."""

    context: CycleContext
    trigger: Trigger
    by: str
    payload: Payload | None = None
    #: The call or tick that creates at most one cycle for each run profile, if it may be repeated.
    call: UUID | None = None
    #: The caller's span (W3C trace context).
    traceparent: str | None = None
    id: UUID = field(default_factory=uuid7)

    @property
    def input(self) -> bytes:
        """The bytes that it runs on."""
        return self.context.input if self.payload is None else self.payload.body

    @property
    def size(self) -> int:
        """How many bytes of documents it brings."""
        return len(self.context.input) + (0 if self.payload is None else len(self.payload.body))

    @property
    def origin(self) -> dict[str, Any]:
        """The columns that say where it comes from."""
        context = self.context
        return {
            "trigger": str(self.trigger),
            "by": self.by,
            "profile_id": context.profile_id,
            "profile_revision": context.profile_revision,
            "run_profile_id": context.run_profile_id,
            "run_profile_revision": context.run_profile_revision,
            "instruction_id": context.instruction.instruction_id if context.instruction else None,
            # The instruction's own bytes: no JSON is made of a document in a transaction.
            "context": context.input,
            "initiation_hash": bridge.initiation_hash(context),
        }


@dataclass(frozen=True, slots=True)
class ActiveCycle:
    """The active cycle of a namespace."""

    id: UUID
    namespace: str
    status: str
    run_profile_id: str | None
    input_sha256: str
    abandoned: bool  # it was started, and its lease ran out
    call: UUID | None

    def is_resumed_by(self, run_profile_id: str | None, payload: Payload | None = None) -> bool:
        """Tell whether this trigger resumes it: it is abandoned, and the same started it."""
        return (
            self.abandoned
            and self.run_profile_id == run_profile_id
            and (payload is None or self.input_sha256 == sha256_hex(payload.body))
        )


def hold_configuration() -> None:
    """Keep reloads out until the transaction ends."""
    # A cycle must not start on half of a new configuration.
    HOLD_CONFIGURATION.send()


def insert(cycles: Sequence[NewCycle], status: Cycle) -> set[UUID]:
    """Insert cycles; return the ids of those that no active cycle blocked.

    Call it in a transaction. It waits for others that start or end cycles in these namespaces.
    """
    inserted: set[UUID] = set()
    # Transactions wait for each other at the unique index: one order for all, against deadlocks.
    in_order = sorted(cycles, key=lambda cycle: (cycle.context.namespace, cycle.id))
    for part in split(in_order):
        rows = INSERT.send(
            status=str(status),
            ids=[cycle.id for cycle in part],
            namespaces=[cycle.context.namespace for cycle in part],
            payloads=[None if cycle.payload is None else cycle.payload.body for cycle in part],
            content_types=[
                "application/json" if cycle.payload is None else cycle.payload.content_type
                for cycle in part
            ],
            sha256s=[sha256_hex(cycle.input) for cycle in part],
            calls=[cycle.call for cycle in part],
            traceparents=[cycle.traceparent for cycle in part],
            **_columns([cycle.origin for cycle in part]),
        )
        inserted.update(cycle_id for (cycle_id,) in rows)
    return inserted


def of_call(call: UUID) -> dict[str, tuple[UUID, str, str]]:
    """Return id, namespace and status of the cycles that ``call`` created, by run profile."""
    return {
        run_profile_id: (cycle_id, namespace, status)
        for run_profile_id, cycle_id, namespace, status in OF_CALL.rows(call=call)
    }


def of_calls(calls: Sequence[UUID]) -> list[tuple[UUID, UUID, str, str]]:
    """Return call, id, namespace and status of the cycles that ``calls`` created. One query."""
    return OF_CALLS.rows(calls=list(calls))


def insert_rerun(cycle: NewCycle, *, rerun_of: UUID) -> bool:
    """Insert a re-run of ``rerun_of``; return False if a cycle is active."""
    return INSERT_RERUN.one(id=cycle.id, rerun_of=rerun_of, **cycle.origin) is not None


def active_cycles(namespaces: Collection[str]) -> dict[str, ActiveCycle]:
    """Return the active cycles by namespace. One query."""
    return {
        namespace: ActiveCycle(cycle_id, namespace, *columns)
        for namespace, cycle_id, *columns in ACTIVE.rows(namespaces=list(namespaces))
    }


def refusal(namespace: str, active: ActiveCycle | None) -> CycleActive:
    """Return the refusal of a new cycle."""
    # Without `active`, that cycle has ended meanwhile.
    name, status = (
        (f"The cycle {active.id}", active.status) if active else ("Another cycle", "about to end")
    )
    return CycleActive(
        f"{name} is {status} in {namespace}: at most one runs there at a time.",
        namespace=namespace,
        active_cycle_run_id=str(active.id) if active else None,
    )


def split(cycles: Sequence[NewCycle]) -> Iterator[list[NewCycle]]:
    """Yield ``cycles`` in parts that fit into one statement."""
    part: list[NewCycle] = []
    size = 0
    for cycle in cycles:
        if part and (len(part) == MOST_ROWS or size + cycle.size > MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(cycle)
        size += cycle.size
    if part:
        yield part


def _columns(origins: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    return {f"{name}_column": [origin[name] for origin in origins] for name in origins[0]}
