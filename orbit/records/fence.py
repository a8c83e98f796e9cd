"""The fence: a worker that lost its cycle writes no row.

Every write of the pipeline is one statement. Its first CTE locks the cycle if its fencing token
still holds, and all its writes join that CTE.
"""

import functools
import json
import re
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from django.db import DEFAULT_DB_ALIAS, InterfaceError, InternalError, OperationalError, connections
from psycopg.types.array import ListBinaryDumper

from governance.kernel import sql
from orbit.records import checkpoints, execution
from orbit.records.checkpoints import Checkpoint
from orbit.records.execution import Record
from telemetry import emit
from telemetry.emit import Event

#: The server is away, read-only, or ended an idle transaction. The statement may have happened.
AWAY = (OperationalError, InterfaceError, InternalError)

_PARAMETER = re.compile(r"%\((\w+)\)s")

# A lock, not just a test in WHERE: another worker could claim the cycle before the commit.
LOCKED = sql.fragment(__name__, "locked")
#: The fragments of a fenced statement: ``WITH {{locked}}, ..., {{checkpoints}}, {{records}},
#: {{events}}``.
FRAGMENTS: dict[str, sql.Fragment] = {
    "locked": LOCKED,
    "checkpoints": checkpoints.CHECKPOINTS,
    "records": execution.RECORDS,
    "events": emit.EVENTS,
}


class Fenced(Exception):
    """Another worker has the cycle: write nothing more."""


@dataclass(frozen=True, slots=True)
class ClaimedCycle:
    """A claimed cycle: its lease and what its stages read."""

    id: UUID
    #: The fencing token.
    token: int
    namespace: str
    status: str
    profile_id: str | None
    run_profile_id: str | None
    instruction_id: str | None
    context: dict[str, Any]
    initiation_hash: str
    #: None until it is loaded.
    input: bytes | None
    input_content_type: str
    requeues: int
    resumed: bool
    #: What a re-run reuses.
    takeover: dict[str, Any] | None = None


@dataclass(slots=True)
class FencedWrite:
    """The values of one fenced statement of one cycle."""

    cycle: ClaimedCycle
    sql: str
    #: JSON parameters by name.
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    #: Other parameters by name.
    values: dict[str, Any] = field(default_factory=dict)
    #: Statements number them from 1.
    blobs: list[bytes] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def blob(self, data: bytes) -> int:
        """Add ``data`` to ``blobs``, the same object once; return its number."""
        for place, blob in enumerate(self.blobs, start=1):
            if blob is data:
                return place
        self.blobs.append(data)
        return len(self.blobs)

    def parameters(self) -> dict[str, Any]:
        """Return the values by parameter name."""
        cycle = self.cycle
        cycle_id = str(cycle.id)
        return {
            "ids": [cycle.id],
            "tokens": [cycle.token],
            "blobs": self.blobs,
            "checkpoints": json.dumps(
                [{"cycle_id": cycle_id, "stage": stage} for stage in self.checkpoints]
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
    """Return ``sql`` with $1, $2, ... as parameters, and their names."""
    names = tuple(dict.fromkeys(_PARAMETER.findall(sql)))
    return _PARAMETER.sub(lambda match: f"${names.index(match[1]) + 1}", sql), names


def run(sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run a prepared statement on this thread's connection; return the rows."""
    # Django's cursor puts the values into the text. psycopg's raw cursor lets the server keep the
    # plan, per connection.
    database = connections[DEFAULT_DB_ALIAS]
    database.ensure_connection()
    text, names = _numbered(sql)
    with database.wrap_database_errors, psycopg.RawCursor(database.connection) as cursor:
        # As text, an array of payloads takes seconds of CPU.
        cursor.adapters.register_dumper(list, ListBinaryDumper)
        cursor.execute(text, [parameters[name] for name in names], prepare=True)
        return cursor.fetchall()


def commit(write: FencedWrite) -> list[tuple[Any, ...]]:
    """Commit ``write``; return its rows. Raises Fenced if the token is stale."""
    rows = run(write.sql, write.parameters())
    if not rows:
        raise Fenced
    return rows
