"""Events as lines of PostgreSQL's COPY text format."""

from datetime import datetime
from typing import Any
from uuid import UUID

from governance.kernel import pg_text
from telemetry import database
from telemetry.events import Row

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_NULL = "\\N"


def line(ordinal: int, row: Row) -> bytes:
    """Return ``row`` as a line for the staging table, ``ordinal`` first."""
    return ("\t".join([str(ordinal), *map(_field, row)]) + "\n").encode()


def send(statement: str, data: bytes) -> None:
    """Run a COPY FROM STDIN with ``data`` on this thread's connection to telemetry's database."""
    connection = database.connection()
    connection.ensure_connection()
    with (
        connection.wrap_database_errors,
        connection.connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        copy.write(data)


def _field(value: UUID | datetime | str | float | dict[str, Any] | None) -> str:
    if value is None:
        return _NULL
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return pg_text.dumps(value).translate(_ESCAPES)
    return str(value)
