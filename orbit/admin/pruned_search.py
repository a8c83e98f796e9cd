"""A search for an id that retention may have deleted says so."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest

from governance.kernel import ulid
from orbit.records import pruned

_LONGEST = 40


def note(request: HttpRequest, visible: "QuerySet[Any]", *, of_run: bool = False) -> None:
    """Add a message if the search of this list is for an id that isn't in ``visible``."""
    term = request.GET.get("q", "").strip()
    if not term or len(term) > _LONGEST:
        return
    if of_run:
        term = term.upper()
        kind, made_at = pruned.RUNS, ulid.moment_of(term)
    else:
        kind, made_at = pruned.CYCLES, _time_of(term)
    why = pruned.explain(kind, made_at)
    if why and not visible.filter(pk=term).exists():
        messages.info(request, why)


def _time_of(term: str) -> datetime | None:
    try:
        return pruned.time_of(UUID(term))
    except ValueError:
        return None
