"""The filters that a user has: of one list, all of them, and those on the dashboard."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.utils import timezone

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.console.base import BoundedPaginator, actor_of
from governance.models import SavedFilter
from orbit_site.saved_filters import count, keep

#: In the menu of a list; the page of all filters has the rest.
_LISTED = 200
_PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class Choice:
    """A filter with its link and how many rows it has; ``id`` "": it comes with Orbit."""

    name: str
    address: str
    query: str
    id: str = ""
    #: The owner's name, if another user shares it.
    by: str = ""
    shared: bool = False
    is_pinned: bool = False
    may_delete: bool = False
    is_mine: bool = False
    #: The list's heading; "" if it is gone.
    list: str = ""
    number: str = ""

    @property
    def link(self) -> str:
        """The address of the list."""
        return f"/admin/{self.address}?{self.query}"


def defaults(actor: Actor) -> list[Choice]:
    """Return the filters that every user has."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    today = {"group": "all", "status": "open", "from": midnight.isoformat()}
    return [
        Choice("Needs attention", "orbit/cyclerun/", "needs=yes"),
        Choice("Dead today", "orbit/deadletterdispatch/", urlencode(today)),
        Choice("My approvals", "advisory/strategyproposal/", "state=mine"),
        Choice(
            "My operations",
            "governance/operationrun/",
            urlencode({"initiator__exact": actor.name}),
        ),
    ]


def of_list(request: HttpRequest, address: str) -> list[Choice]:
    """Return the filters of the list at ``address``, not counted. One query."""
    actor = actor_of(request)
    rows = keep.visible(actor).filter(address=address)[:_LISTED]
    own = [each for each in defaults(actor) if each.address == address]
    return [*own, *(_choice(row, actor) for row in rows)]


def every(request: HttpRequest) -> dict[str, Any]:
    """Return ``page`` of the filters that the user has, and its ``choices``, counted.

    The first page begins with those of all users. Three queries. Own and pinned ones are listed
    even if their list is gone: they count, and can be deleted.
    """
    actor = actor_of(request)
    page = BoundedPaginator(keep.visible(actor), _PER_PAGE).get_page(request.GET.get("p"))
    rows = [_choice(row, actor) for row in page]
    choices = rows if page.has_previous() else [*defaults(actor), *rows]
    return {"choices": _counted(request, choices), "page": page}


def pinned(request: HttpRequest) -> list[Choice]:
    """Return the pinned filters, counted; without any, those of every user. Two queries."""
    actor = actor_of(request)
    rows = keep.pinned(actor)[: keep.MOST_PINNED]
    return _counted(request, [_choice(row, actor) for row in rows] or defaults(actor))


def _counted(request: HttpRequest, choices: Iterable[Choice]) -> list[Choice]:
    """Return the user's own or pinned ones, and those whose list it may see, with numbers."""
    tables = [(each, count.table_at(request, each.address)) for each in choices]
    seen = [
        replace(each, list=table.heading if table else "")
        for each, table in tables
        if table or each.is_mine or each.is_pinned
    ]
    numbers = count.of([count.rows(request, each.address, each.query) for each in seen])
    return [replace(each, number=number) for each, number in zip(seen, numbers, strict=True)]


def _choice(row: SavedFilter, actor: Actor) -> Choice:
    is_mine = row.owner_id == actor.user_id
    return Choice(
        row.name,
        row.address,
        row.query,
        id=str(row.pk),
        by="" if is_mine else row.owner.get_username(),
        shared=row.shared,
        is_pinned=actor.user_id in row.pinned_by,
        is_mine=is_mine,
        may_delete=is_mine or actor.may(Scope.ADMINISTER),
    )
