"""Events as lines of PostgreSQL's COPY text format."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from governance.kernel import pg_text
from telemetry import database
from telemetry.events import Row

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_TO_SPACES = str.maketrans("\t\n\r", "   ")
_NULL = "\\N"


def line(row: Row) -> bytes:
    """Return ``row`` as a line for the staging table, without its ordinal."""
    *values, metadata = row
    return texts(
        [value if value is None else _text(value) for value in values],
        metadata if isinstance(metadata, str) else json_text(metadata),
    )


def texts(values: Sequence[str | None], metadata: str) -> bytes:
    """Return the line of these values and the JSON text ``metadata``."""
    # One look at all of them: few events need an escape.
    written = "".join(filter(None, values))
    if "\\" in written or not written.isprintable():
        values = [value and value.translate(_ESCAPES) for value in values]
    # To look for one character takes next to nothing.
    if "\\" in metadata:
        metadata = metadata.replace("\\", "\\\\")
    if "\t" in metadata or "\n" in metadata or "\r" in metadata:
        # In JSON these are white space only.
        metadata = metadata.translate(_TO_SPACES)
    fields = "\t".join([_NULL if value is None else value for value in values])
    return f"{fields}\t{metadata}\n".encode()


def json_text(value: dict[str, Any]) -> str:
    """Return ``value`` as JSON that jsonb accepts."""
    return pg_text.dumps(value)


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


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
