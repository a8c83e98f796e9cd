"""A search for an id that retention may have deleted says so."""

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest

from orbit.records import pruned

_LONGEST = 40


def note(request: HttpRequest, visible: "QuerySet[Any]", *, of_run: bool = False) -> None:
    """Add a message if the search of this list is for an id that isn't in ``visible``."""
    term = request.GET.get("q", "").strip()
    if not term or len(term) > _LONGEST:
        return
    if of_run:
        term = term.upper()
    why = pruned.of_run(term) if of_run else pruned.of_cycle(term)
    if why and not visible.filter(pk=term).exists():
        messages.info(request, why)
