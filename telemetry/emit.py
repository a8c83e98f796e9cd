"""Write events of the pipeline, in the transaction of what they report."""

from dataclasses import dataclass, field
from typing import Any

from governance.kernel import clock, sql
from governance.kernel.identifiers import uuid7_text
from telemetry import database


# Not frozen, although nothing changes one: that takes longer than all else of making it.
@dataclass(slots=True)
class Event:
    """Something that happened in a cycle. ``name``: of ``telemetry.events.Name``."""

    name: str
    stage: str | None = None
    level: str = "info"
    duration_ms: float | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    #: When it was noticed, in Unix seconds. The row has the database's time.
    at: float = field(default_factory=clock.timestamp, compare=False)


#: Events can join a transaction of the main database only; the outbox is there in any case.
TABLE = "telemetry_outboxevent" if database.IS_SEPARATE else "telemetry_telemetryevent"
#: A CTE of fenced statements; ``row`` makes the rows of its parameter ``events``.
EVENTS = sql.fragment(__name__, "events", table=TABLE)


def row(event: Event, *, run_id: str, namespace: str, profile_id: str | None) -> dict[str, Any]:
    """Return ``event`` as a row for ``EVENTS``."""
    return {
        "id": uuid7_text(),
        "name": event.name,
        "namespace": namespace,
        "profile_id": profile_id,
        "run_id": run_id,
        "stage": event.stage,
        "level": event.level,
        "duration_ms": event.duration_ms,
        "metadata": event.metadata,
    }
