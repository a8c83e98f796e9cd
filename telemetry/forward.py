"""Move events from the outbox in the main database to telemetry's, each once.

With one database a batch moves in one transaction. With two it is stored there, then deleted here;
after a crash in between it is stored again, which adds nothing: a duplicate is the same (id,
occurred_at). One process at a time forwards; a second one would do no harm.
"""

import logging
from collections.abc import Sequence
from uuid import UUID

from django.db import DatabaseError, InterfaceError, transaction

from governance.kernel import availability, routing, sql
from telemetry.events import Row
from telemetry.ingest import batch
from telemetry.ingest.batch import Outcome

#: Less than half a second of work.
BATCH = 4000
#: Refused events are kept for so long.
REFUSED_DAYS = 90

IS_ANY = sql.load(__name__, "is_any_in_outbox", is_read_only=availability.IS_READ_ONLY)
OWN = sql.load(__name__, "own_outbox")
OLDEST = sql.load(__name__, "oldest_outbox_events")
CLOSE = sql.load(__name__, "close_outbox_events")
NOTE = sql.load(__name__, "note_outbox_problem")
PRUNE = sql.load(__name__, "prune_refused_events")

log = logging.getLogger(__name__)


class NotTaken(Exception):
    """Telemetry's own database takes no events now; they stay in the outbox."""


def forward(most: int = BATCH) -> int:
    """Forward the oldest events, at most ``most``; return how many left the outbox.

    0: none waits, or another process forwards. Raises NotTaken, and what the main database raises.
    """
    # An idle cluster asks again and again: without a transaction, and of a plan that is kept.
    ((is_read_only, is_any),) = IS_ANY.send()
    availability.require_writes(is_read_only)
    if not is_any:
        return 0
    with transaction.atomic():
        if OWN.rows()[0][0] is not True:
            return 0
        rows = OLDEST.rows(limit=most)
        if not rows:
            return 0
        try:
            refusals = _store(rows)
        except (DatabaseError, InterfaceError) as error:
            raise NotTaken(" ".join(str(error).split())) from error
        CLOSE.execute(
            ids=[row[0] for row in rows],
            refused=list(refusals),
            reasons=list(refusals.values()),
        )
    if refusals:
        event_id, reason = next(iter(refusals.items()))
        log.warning(
            "Telemetry's database refused %s events; they are kept in telemetry_refusedevent. "
            "The first is %s: %s",
            len(refusals),
            event_id,
            reason,
        )
    return len(rows)


def note(problem: str | None) -> None:
    """Record why telemetry's database takes no events; None if it does."""
    NOTE.send(problem=problem)


def prune() -> int:
    """Delete what was refused long ago; return how many."""
    return PRUNE.execute(days=REFUSED_DAYS)


def _store(rows: Sequence[Row]) -> dict[UUID, str]:
    """Store events; return why some of them never can be, by id."""
    try:
        outcomes = batch.store(rows)
    except DatabaseError as error:
        if not _is_about_an_event(error):
            raise
        if len(rows) == 1:
            return {rows[0][0]: " ".join(str(error).split())}
        # One event must not hold up the others: find it.
        middle = len(rows) // 2
        return {**_store(rows[:middle]), **_store(rows[middle:])}
    return {
        row[0]: f"{outcome}: the day {row[1]:%Y-%m-%d} was dropped"
        for row, outcome in zip(rows, outcomes, strict=True)
        if outcome == Outcome.TOO_OLD
    }


def _is_about_an_event(error: DatabaseError) -> bool:
    # A value or a constraint. A table that is missing, a right or a full disk concerns all events.
    return availability.sqlstate(error).startswith(("22", "23")) and not (
        availability.is_away(error) or routing.is_missing(error)
    )
