"""Births of cycles, one or many in one statement, and what stands in their way.

The unique index lets one active cycle through for each namespace, so of any number of triggers at once one starts something. A cycle
that waits for its turn is ``queued``: no worker looks at it, and the overlap guard doesn't count it.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection
from psycopg.types.json import Jsonb

from governance.kernel.canonical import sha256_hex
from governance.kernel.identifiers import uuid7
from orbit.cycles import bridge
from orbit.cycles.bridge import Context
from orbit.pipeline.contract import Payload
from orbit.states import Cycle, Trigger

# What one statement takes at most: a text of it must fit into a message, and into memory several times over.
MOST_ROWS, MOST_BYTES = 2_000, 32 * 1024 * 1024

_ROW = "(" + ", ".join(["%s"] * 15) + ", CASE WHEN %s THEN now() END)"
_START = """INSERT INTO orbit_cyclerun (id, namespace, status, trigger, triggered_by, profile_id, profile_revision, run_profile_id,
    run_profile_revision, instruction_id, context, initiation_hash, input, input_content_type, input_sha256, next_due_at)
VALUES {rows} ON CONFLICT (namespace) WHERE status IN ('pending', 'running') DO NOTHING RETURNING id"""

# A cycle that was started and whose lease has run out is dead weight: the same trigger again resumes it rather than being refused.
_ACTIVE = """SELECT namespace, id, status, run_profile_id, input_sha256, started_at IS NOT NULL AND coalesce(lease_expires_at <= now(), false)
FROM orbit_cyclerun WHERE namespace = ANY(%s) AND status IN ('pending', 'running')"""


@dataclass(frozen=True, slots=True)
class NewCycle:
    """A cycle to be: its context, its input (None: the context's own), and where it comes from."""

    context: Context
    trigger: Trigger
    by: str
    payload: Payload | None = None
    id: UUID = field(default_factory=uuid7)

    @property
    def input(self) -> bytes:
        """The bytes that the cycle runs on."""
        return self.context.input if self.payload is None else self.payload.body


@dataclass(frozen=True, slots=True)
class ActiveCycle:
    """The cycle that is active in a namespace; ``abandoned`` where it was started and its lease has run out."""

    id: UUID
    namespace: str
    status: str
    run_profile_id: str | None
    input_sha256: str
    abandoned: bool

    def is_resumed_by(self, run_profile_id: str | None, payload: Payload | None = None) -> bool:
        """Tell whether the same trigger came again for a cycle that nobody carries."""
        return (
            self.abandoned
            and self.run_profile_id == run_profile_id
            and (payload is None or self.input_sha256 == sha256_hex(payload.body))
        )


def insert(cycles: Sequence[NewCycle], status: Cycle) -> set[UUID]:
    """Insert the cycles as pending or queued inside the caller's transaction; return the ids of those that nothing stood in the way of.

    A statement may wait for another one that starts, or ends, a cycle in the same namespace. All go by the order of the namespaces' names, so
    that no two wait for each other.
    """
    made: set[UUID] = set()
    for part in _parts(sorted(cycles, key=lambda birth: (birth.context.namespace, birth.id))):
        with connection.cursor() as cursor:
            cursor.execute(
                _START.format(rows=", ".join([_ROW] * len(part))),
                [value for birth in part for value in _values(birth, status)],
            )
            made.update(row[0] for row in cursor.fetchall())
    return made


def active_cycles(namespaces: Collection[str]) -> dict[str, ActiveCycle]:
    """Return the active cycle of each of ``namespaces`` that has one; one query."""
    with connection.cursor() as cursor:
        cursor.execute(_ACTIVE, [list(namespaces)])
        return {
            namespace: ActiveCycle(cycle, namespace, *rest)
            for namespace, cycle, *rest in cursor.fetchall()
        }


def _values(birth: NewCycle, status: Cycle) -> list[Any]:
    context, given = birth.context, birth.input
    return [
        birth.id,
        context.namespace,
        str(status),
        str(birth.trigger),
        birth.by,
        context.profile_id,
        context.profile_revision,
        context.run_profile_id,
        context.run_profile_revision,
        context.instruction.instruction_id if context.instruction else None,
        Jsonb(context.document),
        bridge.initiation_hash(context),
        given,
        "application/json" if birth.payload is None else birth.payload.content_type,
        sha256_hex(given),
        status == Cycle.PENDING,
    ]


def _parts(cycles: Sequence[NewCycle]) -> Iterator[list[NewCycle]]:
    part: list[NewCycle] = []
    size = 0
    for birth in cycles:
        if part and (len(part) == MOST_ROWS or size + len(birth.input) > MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(birth)
        size += len(birth.input)
    if part:
        yield part
