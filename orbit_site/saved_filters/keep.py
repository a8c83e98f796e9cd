"""Keep a filter of a list under a name, share it, pin it to the dashboard, delete it."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.core.exceptions import SuspiciousOperation, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F, Func, IntegerField, Q, QuerySet, Value
from django.http import HttpRequest, QueryDict

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.console.base import actor_of
from governance.kernel import pg_text
from governance.kernel.constraints import violated
from governance.kernel.errors import Kind, OrbitError
from governance.kernel.identifiers import uuid7
from governance.models import SavedFilter
from orbit_site.saved_filters import count

MOST_OWN, MOST_PINNED = 50, 4
_LONGEST_NAME, _LONGEST_QUERY = 80, 1000
#: Who may show a name to others: not those who only look.
_SHARING = (Scope.OPERATE, Scope.REVIEW, Scope.CONFIGURE)
#: Parameters that are no filter: a place in the list, its order, its form.
_PLACES = (
    *("p", "o", "e", "older_than", "newer_than", "all", "_export"),
    *("_popup", "_to_field", "_facets", "_changelist_filters"),
)
_ACTIONS = ("pin", "unpin", "delete")
_UNIQUE = "one_saved_filter_per_name"


class FilterInvalid(OrbitError):
    """A saved filter has a name of at most 80 characters, and a filter of a list that you see."""

    code, kind = "invalid_filter", Kind.INVALID


class FilterExists(OrbitError):
    """You have a saved filter of this name for this list already."""

    code, kind = "filter_exists", Kind.CONFLICT


class FilterUnknown(OrbitError):
    """There is no such saved filter."""

    code, kind = "unknown_filter", Kind.MISSING


@dataclass(frozen=True, slots=True)
class Draft:
    """What a user keeps: the address of a list and its query."""

    name: str
    address: str
    query: str
    shared: bool


def visible(actor: Actor) -> "QuerySet[SavedFilter]":
    """Return the actor's filters, then those that others share with it.

    A user who is confined to namespaces has the shared ones of these namespaces.
    """
    shared = Q(shared=True) & actor.filter()
    is_mine = Q(owner=actor.user_id)
    rows = SavedFilter.objects.filter(is_mine | shared).annotate(is_mine=is_mine)
    return rows.select_related("owner").order_by("-is_mine", "name", "id")


def pinned(actor: Actor) -> "QuerySet[SavedFilter]":
    """Return the filters on the actor's dashboard."""
    return visible(actor).filter(pinned_by__contains=[actor.user_id])


def may_share(actor: Actor) -> bool:
    """Return whether ``actor`` may share a filter."""
    return actor.may(*_SHARING)


def save(request: HttpRequest, draft: Draft) -> SavedFilter:
    """Keep the filter. Raises FilterInvalid, FilterExists, NotAllowed."""
    actor, name = actor_of(request), pg_text.clean(draft.name.strip())
    owner = actor.user_id
    assert owner is not None  # noqa: S101 - a user of the console
    text, namespace = _kept(draft.query)
    if not 0 < len(name) <= _LONGEST_NAME or not 0 < len(text) <= _LONGEST_QUERY:
        raise FilterInvalid
    if count.of([count.rows(request, draft.address, text)]) == [count.UNREADABLE]:
        raise FilterInvalid
    if draft.shared:
        actor.require(*_SHARING)
        if not actor.sees(namespace):
            raise FilterInvalid(
                "Choose one of your namespaces in the header first: a shared filter is shown to "
                "the users who see its namespace."
            )
    row = SavedFilter(
        id=uuid7(),
        owner_id=owner,
        name=name,
        address=draft.address,
        query=text,
        namespace=namespace[:100],
        shared=draft.shared,
        pinned_by=[],
    )
    try:
        with audit.transaction():
            _lock(actor)
            if SavedFilter.objects.filter(owner=owner).count() >= MOST_OWN:
                raise FilterInvalid(f"You have {MOST_OWN} saved filters. Delete one first.")
            row.save(force_insert=True)
            if row.shared:
                _record(Action.SAVED_FILTER_SHARED, row, actor)
    # The unique index decides between parallel calls.
    except IntegrityError as error:
        if violated(error) != _UNIQUE:
            raise
        raise FilterExists from None
    return row


def pin(row: SavedFilter, *, actor: Actor, on: bool) -> None:
    """Put the filter on the actor's dashboard, or take it off. Raises FilterInvalid."""
    user = Value(actor.user_id, output_field=IntegerField())
    others = Func(F("pinned_by"), user, function="array_remove")
    with transaction.atomic():
        _lock(actor)
        if on and pinned(actor).exclude(pk=row.pk).count() >= MOST_PINNED:
            raise FilterInvalid(f"{MOST_PINNED} filters are pinned. Take one off first.")
        SavedFilter.objects.filter(pk=row.pk).update(
            pinned_by=Func(others, user, function="array_append") if on else others
        )


def delete(row: SavedFilter, *, actor: Actor) -> None:
    """Delete an own filter; an administrator deletes shared ones too. Raises NotAllowed."""
    if row.owner_id != actor.user_id:
        actor.require(Scope.ADMINISTER)
    with audit.transaction():
        deleted, _ = SavedFilter.objects.filter(pk=row.pk).delete()
        if deleted and row.shared:
            _record(Action.SAVED_FILTER_REMOVED, row, actor)


def find(filter_id: str, *, actor: Actor) -> SavedFilter:
    """Return a filter that the actor has. Raises FilterUnknown."""
    try:
        row = visible(actor).filter(pk=filter_id).first()
    except ValidationError:
        row = None
    if row is None:
        raise FilterUnknown
    return row


def act(request: HttpRequest) -> str:
    """Do what a form says; return what was done. Raises refusals."""
    form, actor = request.POST, actor_of(request)
    if form.get("do") == "save":
        draft = Draft(
            form.get("name", ""), form.get("address", ""), form.get("query", ""), "shared" in form
        )
        return f"{save(request, draft)} is saved."
    if form.get("do") not in _ACTIONS:
        raise FilterInvalid
    row = find(form.get("filter", ""), actor=actor)
    if form.get("do") == "delete":
        delete(row, actor=actor)
        return f"{row} is deleted."
    is_on = form.get("do") == "pin"
    pin(row, actor=actor, on=is_on)
    return f"{row} is {'on' if is_on else 'off'} your dashboard."


def _kept(query: str) -> tuple[str, str]:
    """Return what a filter keeps of an address's query, and the namespace that it names."""
    if len(query) > 2 * _LONGEST_QUERY:
        raise FilterInvalid
    try:
        fields = QueryDict(query).copy()
    except SuspiciousOperation:  # too many fields
        raise FilterInvalid from None
    for parameter in _PLACES:
        fields.pop(parameter, None)
    namespace = fields.get("namespace", "")
    if "namespace" in fields:
        # One, as pages read it: a second one would show its name to others.
        fields.setlist("namespace", [namespace])
    return fields.urlencode(), namespace


def _lock(actor: Actor) -> None:
    """Let the user's other calls wait: how many filters it has is counted, then changed."""
    User.objects.select_for_update(no_key=True).filter(pk=actor.user_id or 0).first()


def _record(action: Action, row: SavedFilter, actor: Actor) -> None:
    audit.record(
        action,
        actor=actor.name,
        object_id=str(row.pk),
        namespace=row.namespace or None,
        after={"name": row.name, "address": row.address, "query": row.query},
    )
