"""Which dead letters an address and a form of the console name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import QueryDict

from governance.console.keyset import NEWER, OLDER
from governance.kernel.errors import Kind, OrbitError
from governance.rest import queries
from orbit.dispatch.bulk import MAX_IDS, LetterFilter
from orbit.states import Letter

#: Parameters of the list's address that narrow a run too, and how to read their values.
_FILTERS = {
    "namespace": ("namespace", str),
    "endpoint_key__exact": ("endpoint_key", str),
    "cycle__id__exact": ("cycle_run_id", UUID),
}
#: Parameters that don't change which letters the list shows.
_NEUTRAL = {"o", OLDER, NEWER, "all", "e", "_facets"}
#: The value of ``group`` that means letters of all groups.
ALL = "all"

Parameters = Mapping[str, Sequence[str]]


class ChoiceInvalid(OrbitError):
    """A run can't be narrowed by all parameters of this address."""

    code, kind = "invalid_choice", Kind.MALFORMED


class NothingChosen(OrbitError):
    """Nothing is selected. Tick a group, or the box for all."""

    code, kind = "nothing_chosen", Kind.INVALID


@dataclass(frozen=True, slots=True)
class LetterChoice:
    """Letters by their ids, or the open ones of groups that match a filter."""

    ids: tuple[UUID, ...] = ()
    groups: tuple[str, ...] = ()
    filters: LetterFilter = field(default_factory=LetterFilter)
    #: Until when letters count; None: until now.
    until: datetime | None = None


def read(query: Parameters, form: Parameters) -> LetterChoice:
    """Return what is chosen. Raises ChoiceInvalid, and NothingChosen for a form without ticks."""
    try:
        filters = LetterFilter(**_conditions(query))
        ids = tuple(UUID(text) for text in form.get("ids", ())[:MAX_IDS])
        until = queries.moment(form["until"][0]) if "until" in form else None
    except ValueError:
        raise ChoiceInvalid("An id or a time of this address can't be read.") from None
    groups = {*query.get("group", ()), *form.get("group", ())} - {ALL}
    if form and not {"frozen", "all", "select_across", "group"} & {*form}:
        raise NothingChosen
    return LetterChoice(ids, () if "all" in form else tuple(sorted(groups)), filters, until)


def tidy(query: QueryDict) -> QueryDict:
    """Return the query of the groups' page without the empty fields of its form."""
    kept = query.copy()
    for name, values in query.lists():
        if values == [""]:
            del kept[name]
    return kept


def is_readable(query: Parameters) -> bool:
    """Return whether a run can take what the list of this address shows."""
    try:
        read(query, {})
    except ChoiceInvalid:
        return False
    return True


def _conditions(query: Parameters) -> dict[str, Any]:
    conditions: dict[str, Any] = {}
    for name, values in query.items():
        # An empty namespace is that of all.
        neutral = (("q", [""]), ("namespace", [""]), ("status", [Letter.OPEN]))
        is_neutral = (name, values) in neutral
        if name in _NEUTRAL or is_neutral or (name == "group" and all(values)):
            continue
        # The run would take other letters than the list shows.
        if name not in _FILTERS or len(values) != 1 or not values[0]:
            raise ChoiceInvalid
        condition, convert = _FILTERS[name]
        conditions[condition] = convert(values[0])
    return conditions
