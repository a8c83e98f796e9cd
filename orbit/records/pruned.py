"""Say of an id that isn't there whether retention may have deleted it.

It goes by the time in the id, so it says the same of what another namespace has.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from governance.kernel import identifiers, ulid
from orbit.models import ConductorRun, RetentionMark

#: Ids hold times of their own; nothing is older than this.
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Kind:
    """Rows that go together: the mark of a prune, and their name in a sentence."""

    mark: str
    name: str


CYCLES = Kind("cycles", "Cycles")
RUNS = Kind("conductor_runs", "Conductor runs")
TICKS = Kind("cron_ticks", "Ticks and cycles")


def explain(kind: Kind, made_at: datetime | None) -> str:
    """Return a sentence if what was made then may have been deleted; else nothing."""
    if made_at is None or made_at < _EARLIEST:
        return ""
    mark = RetentionMark.objects.filter(kind=kind.mark, pruned_to__gte=made_at).first()
    if mark is None:
        return ""
    return (
        f"{kind.name} that finished until {_text(mark.pruned_to)} are deleted unless something"
        f" refers to them, the last time at {_text(mark.pruned_at)} (ORBIT_RETENTION_DAYS)."
    )


def of_search(term: str, rows: "QuerySet[Any]") -> str:
    """Explain a search for a cycle or conductor run by its id if ``rows`` don't have it."""
    term = term.strip()
    if not term or len(term) > _LONGEST:
        return ""
    if rows.model is ConductorRun:
        term = term.upper()
        why = explain(RUNS, ulid.moment_of(term))
    else:
        try:
            why = explain(CYCLES, time_of(UUID(term)))
        except ValueError:
            return ""
    return why if why and not rows.filter(pk=term).exists() else ""


def unknown(what: str, id_: UUID | str) -> str:
    """Return "There is no ...", and why if retention may be the cause.

    ``id_``: the UUIDv7 of a cycle or of what is a cycle's, or the ULID of a run or task.
    """
    kind, made_at = (CYCLES, time_of(id_)) if isinstance(id_, UUID) else (RUNS, ulid.moment_of(id_))
    return f"There is no {what} {id_}. {explain(kind, made_at)}".rstrip()


def time_of(id_: UUID) -> datetime | None:
    """Return the time in a UUIDv7; None of another version, and of times out of range."""
    return identifiers.moment_of(id_) if id_.version == 7 else None


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
