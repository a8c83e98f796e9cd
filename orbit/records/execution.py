"""Execution records: one line of what happened, append-only."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from operator import attrgetter, itemgetter
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InternalError, OperationalError

from governance.kernel import pg_text, routing, sql
from governance.kernel.identifiers import uuid7_text

#: A CTE of fenced statements; ``rows`` makes the rows of its parameter ``records``.
RECORDS = sql.fragment(__name__, "records")

logger = logging.getLogger(__name__)

WRITE = sql.load(__name__, "write_records")
KEYS_OF_RECORD = sql.load(__name__, "keys_of_record")

#: The most records of a group. A reader of one of them reads all.
MOST_IN_GROUP = 64
#: A group's id ends in so many zero bits. The ids of its records have their places there.
_PLACE_BITS = 16
#: The clock of the process that made a cycle is at most so much ahead of the one of its record.
_CLOCKS_MS = 60_000


# Not frozen, although nothing changes one: that takes longer than all else of making it.
@dataclass(slots=True)
class Record:
    """One event. ``level``: debug, info, warning or error."""

    stage: str
    event: str
    message: str = ""
    level: str = "info"
    data: dict[str, Any] = field(default_factory=dict)
    #: Set it if the record may be written again: it is there once.
    id: str | None = None


def rows(
    records: Iterable[Record], *, cycle_id: str | None, namespace: str | None
) -> list[dict[str, Any]]:
    """Return ``records`` as rows for ``RECORDS``, with ids in this order.

    Records of one level that follow each other are one row, a group.
    """
    most = 1 if cycle_id is None else MOST_IN_GROUP
    return [
        {
            "cycle_id": cycle_id,
            "namespace": namespace,
            "level": level,
            **(_single(some[0]) if len(some) == 1 else _group(some)),
        }
        for level, some in _groups(records, most)
    ]


def _groups(records: Iterable[Record], most: int) -> Iterator[tuple[str, list[Record]]]:
    for (level, id_), alike in groupby(records, key=attrgetter("level", "id")):
        while some := list(islice(alike, most if id_ is None else 1)):
            yield level, some


def _single(record: Record) -> dict[str, Any]:
    return {
        "id": record.id or uuid7_text(),
        "stage": record.stage,
        "event": record.event,
        "message": clean(record.message),
        "data": record.data,
    }


def _group(records: Sequence[Record]) -> dict[str, Any]:
    digits = _PLACE_BITS // 4
    return {
        "id": uuid7_text()[:-digits] + "0" * digits,
        "records": [
            # The view reads them by place; what is empty at the end is left away.
            [record.stage, record.event, record.data, clean(record.message)]
            if record.message
            else [record.stage, record.event, record.data]
            if record.data
            else [record.stage, record.event]
            for record in records
        ],
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
    made = [
        row
        for (namespace, cycle_id), alike in groupby(records, key=itemgetter(1, 2))
        for row in rows(
            [record for record, *_ in alike],
            cycle_id=None if cycle_id is None else str(cycle_id),
            namespace=namespace,
        )
    ]
    try:
        text = pg_text.dumps(made)
        routing.run(lambda: WRITE.execute(records=text))
    except (OperationalError, InternalError):
        raise  # the server is away, which the caller has to know
    except DatabaseError as error:
        logger.error("records can't be written: %s: %s", " ".join(str(error).split()), made)


def keys_of(id_: str) -> list[UUID]:
    """Return the partition keys of the record ``id_``: one, or none.

    It reads an index from the record's time back to its cycle's, or all of it to find none.
    """
    try:
        record = UUID(id_)
    except ValueError:
        return []
    # Both ids begin with 48 bits of milliseconds: the database's time, as their process knew it.
    latest = UUID(int=min(record.int + (_CLOCKS_MS << 80), (1 << 128) - 1))
    return [key for (key,) in KEYS_OF_RECORD.rows(id=record, latest=latest)]
