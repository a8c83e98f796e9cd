"""Execution records: one line of what happened, append-only."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InternalError, OperationalError

from governance.kernel import pg_text, routing, sql
from governance.kernel.identifiers import uuid7_text

#: A CTE of fenced statements; ``row`` makes the rows of its parameter ``records``.
RECORDS = sql.fragment(__name__, "records")

logger = logging.getLogger(__name__)

WRITE = sql.load(__name__, "write_records")


# Not frozen, although nothing changes one: that takes longer than all else of making it.
@dataclass(slots=True)
class Record:
    """One event. ``level``: debug, info, warning or error."""

    stage: str
    event: str
    message: str = ""
    level: str = "info"
    data: dict[str, Any] = field(default_factory=dict)
    #: Holds the time when the record was made, so records keep their order.
    id: str = field(default_factory=uuid7_text)


def row(record: Record, *, cycle_id: str | None, namespace: str | None) -> dict[str, Any]:
    """Return ``record`` as a row for ``RECORDS``."""
    return {
        "id": record.id,
        "cycle_id": cycle_id,
        "stage": record.stage,
        "event": record.event,
        "level": record.level,
        "namespace": namespace,
        "message": clean(record.message),
        "data": record.data,
    }


def clean(text: str, limit: int = 2000) -> str:
    """Return the start of ``text`` without NUL and lone surrogates."""
    return pg_text.clean(text[:limit])


def write(record: Record, *, namespace: str | None, cycle_id: UUID | None = None) -> None:
    """Write one record, without a fence."""
    write_all([(record, namespace, cycle_id)])


def write_all(records: Sequence[tuple[Record, str | None, UUID | None]]) -> None:
    """Write records, each with its namespace and cycle, without a fence.

    What they report happens all the same: if they can't be written, that is logged.
    """
    if not records:
        return
    rows = [
        row(record, cycle_id=None if cycle_id is None else str(cycle_id), namespace=namespace)
        for record, namespace, cycle_id in records
    ]
    try:
        text = pg_text.dumps(rows)
        routing.run(lambda: WRITE.execute(records=text))
    except (OperationalError, InternalError):
        raise  # the server is away, which the caller has to know
    except DatabaseError as error:
        logger.error("records can't be written: %s: %s", " ".join(str(error).split()), rows)
