"""Execution records: one line of what happened, append-only."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection

from governance.kernel.identifiers import uuid7_text

#: A CTE for a statement that has a CTE ``locked`` with the ids of the cycles whose rows may be written; ``records`` is its JSON.
RECORDS_CTE = """records AS (
    INSERT INTO orbit_executionrecord (id, partition_key, cycle_id, stage, event, level, namespace, message, data)
    SELECT x.id, x.cycle_id, x.cycle_id, x.stage, x.event, x.level, x.namespace, x.message, x.data
    FROM json_to_recordset(%(records)s::json) AS x(id uuid, cycle_id uuid, stage text, event text, level text, namespace text, message text, data jsonb)
    JOIN locked ON locked.id = x.cycle_id)"""

_WRITE = "INSERT INTO orbit_executionrecord (id, partition_key, cycle_id, stage, event, level, namespace, message, data) VALUES "


@dataclass(frozen=True, slots=True)
class Record:
    """What happened at which stage; ``level`` is debug, info, warning or error. Its id says when it was made, so records keep their order."""

    stage: str
    event: str
    message: str = ""
    level: str = "info"
    data: dict[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=uuid7_text)


def row(record: Record, *, cycle_id: str, namespace: str) -> dict[str, Any]:
    """Return ``record`` as a row for ``RECORDS_CTE``."""
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
    """Return ``text`` as a text column takes it: no NUL, no lone surrogate, at most ``limit`` characters."""
    return text[:limit].replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def write(record: Record, *, namespace: str | None, cycle_id: UUID | None = None) -> None:
    """Write one record by itself, outside of any cycle's fence."""
    write_all([(record, namespace, cycle_id)])


def write_all(records: Sequence[tuple[Record, str | None, UUID | None]]) -> None:
    """Write records, each with its namespace and its cycle or none, in one statement outside of any cycle's fence."""
    if not records:
        return
    values = [
        value
        for record, namespace, cycle_id in records
        for value in (record.id, cycle_id or record.id, cycle_id, record.stage, record.event, record.level, namespace, clean(record.message),
                      json.dumps(record.data))
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(
            _WRITE + ", ".join(["(%s, %s, %s, %s, %s, %s, %s, %s, %s)"] * len(records)), values
        )
