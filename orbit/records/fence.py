"""The fence: no worker that lost its cycle writes a row.

Every write of the pipeline is one statement. Its first CTE locks the cycles whose (id, token) still hold; everything that the statement
inserts or updates joins that CTE; what it returns shows who was fenced. Testing the token in a WHERE alone would be no fence: a takeover
could win between the test and the commit. The lock is ``FOR NO KEY UPDATE``: foreign keys of rows inserted meanwhile don't wait for it.

``commit`` is the one door. A statement takes many cycles as easily as one, so that a writer behind this door can later put what many
lanes hand it into one commit; the callers stay those of a single cycle. After a crash the statement has happened whole or not at all.
"""

import functools
import json
import re
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from django.db import DEFAULT_DB_ALIAS, InterfaceError, InternalError, OperationalError, connections

from governance.kernel import sql
from orbit.records import checkpoints, execution
from orbit.records.checkpoints import Checkpoint
from orbit.records.execution import Record
from telemetry import emit
from telemetry.emit import Event

#: What a statement raises when the server is away, lets nobody write, or has ended a transaction in which it heard nothing for too long. None
#: of it says whether the statement happened.
AWAY = (OperationalError, InterfaceError, InternalError)

_PLACE = re.compile(r"%\((\w+)\)s")

LOCKED = sql.fragment(__name__, "locked")
#: The fragments of every fenced statement: ``WITH {{locked}}, ... {{checkpoints}}, {{records}}, {{events}}``.
FRAGMENTS: dict[str, sql.Fragment] = {
    "locked": LOCKED,
    "checkpoints": checkpoints.CHECKPOINTS,
    "records": execution.RECORDS,
    "events": emit.EVENTS,
}


class Fenced(Exception):
    """Another worker holds a newer token: this one writes nothing more."""


@dataclass(frozen=True, slots=True)
class ClaimedCycle:
    """A claimed cycle: its lease (id and token) and what its stages read.

    ``input`` is None where it was not asked for, ``takeover`` in all but re-runs.
    """

    id: UUID
    token: int
    namespace: str
    status: str
    profile_id: str | None
    run_profile_id: str | None
    instruction_id: str | None
    context: dict[str, Any]
    initiation_hash: str
    input: bytes | None
    input_content_type: str
    requeues: int
    resumed: bool
    takeover: dict[str, Any] | None = None


@dataclass(slots=True)
class FencedWrite:
    """What one cycle hands to one statement: its own rows by parameter name, and what goes on record with them."""

    cycle: ClaimedCycle
    sql: str
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    blobs: list[bytes] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def blob(self, data: bytes) -> int:
        """Keep ``data`` for the statement's ``blobs``, the same object once; return its place there, counted from one."""
        for place, known in enumerate(self.blobs, start=1):
            if known is data:
                return place
        self.blobs.append(data)
        return len(self.blobs)

    def parameters(self) -> dict[str, Any]:
        """Return what the statement takes."""
        cycle = self.cycle
        cycle_id = str(cycle.id)
        return {
            "ids": [cycle.id],
            "tokens": [cycle.token],
            "blobs": self.blobs,
            "checkpoints": json.dumps(
                [{"cycle_id": cycle_id, "stage": mark} for mark in self.checkpoints]
            ),
            "records": json.dumps(
                [
                    execution.row(record, cycle_id=cycle_id, namespace=cycle.namespace)
                    for record in self.records
                ]
            ),
            "events": json.dumps(
                [
                    emit.row(
                        event,
                        run_id=cycle_id,
                        namespace=cycle.namespace,
                        profile_id=cycle.profile_id,
                    )
                    for event in self.events
                ]
            ),
            **{name: json.dumps(rows) for name, rows in self.rows.items()},
            **self.values,
        }


@functools.cache
def _numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """Return ``sql`` with $1, $2 for its named places, and the names in that order: worked out once, since the texts are long."""
    names = tuple(dict.fromkeys(_PLACE.findall(sql)))
    return _PLACE.sub(lambda place: f"${names.index(place[1]) + 1}", sql), names


def run(sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run a prepared statement on this thread's connection; return its rows.

    Django's cursor puts the values into the text. A raw one of psycopg lets the server keep the plan,
    which psycopg remembers per connection.
    """
    database = connections[DEFAULT_DB_ALIAS]
    database.ensure_connection()
    text, names = _numbered(sql)
    with database.wrap_database_errors, psycopg.RawCursor(database.connection) as cursor:
        cursor.execute(text, [parameters[name] for name in names], prepare=True)
        return cursor.fetchall()


def commit(write: FencedWrite) -> list[tuple[Any, ...]]:
    """Make ``write`` durable; return the statement's rows. Raises Fenced, with nothing written, when the cycle is another's."""
    rows = run(write.sql, write.parameters())
    if not rows:
        raise Fenced
    return rows
