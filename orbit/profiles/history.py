"""Revisions of a document, and how two of them differ."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from governance.access.actors import Actor
from governance.kernel import json_diff
from orbit.errors import RevisionUnknown
from orbit.models import ProfileRevision, RunProfileRevision
from orbit.profiles.kinds import RUN_PROFILE, AnyKind, AnyRevision, AnyRow

_LARGEST = 2**31 - 1
_MOST_DIGITS = 9
_PAGE_SIZE = 50

Revisions = QuerySet[ProfileRevision] | QuerySet[RunProfileRevision]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two revisions and their differences."""

    left: AnyRevision
    right: AnyRevision
    changes: list[json_diff.Change]


def revisions(kind: AnyKind, name: str, *, actor: Actor) -> Revisions:
    """Return the revisions that ``actor`` sees, newest first. Raises ``kind.unknown``."""
    # Only actors who see the whole workspace see the history of a hidden document.
    hidden: AnyRow | None = None
    if actor.namespaces is None and "\x00" not in name:
        hidden = kind.rows.objects.filter(**{kind.key: name}, hidden=True).first()
    row = hidden or kind.find(name, actor=actor)
    rows: Revisions = kind.revisions.objects.filter(**{kind.owner: row}).order_by("-number")
    # A run profile may have moved here from a namespace that the actor doesn't see.
    if kind is RUN_PROFILE and actor.namespaces is not None:
        rows = rows.filter(document__namespace__in=sorted(actor.namespaces))
    return rows


def find(kind: AnyKind, name: str, number: int, *, actor: Actor) -> AnyRevision:
    """Return revision ``number`` of ``name``. Raises ``kind.unknown`` or RevisionUnknown."""
    visible = revisions(kind, name, actor=actor)
    revision = visible.filter(number=number).first() if 0 < number <= _LARGEST else None
    if revision is None:
        raise RevisionUnknown(f"There is no revision {str(number)[:20]} of {name}.")
    return revision


def number_of(text: str) -> int | None:
    """Return the number of a revision that an address names, if it is one."""
    is_number = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return int(text) if is_number else None


def document_of(kind: AnyKind, row: AnyRow, number: str, *, actor: Actor) -> dict[str, Any]:
    """Return the document of the revision ``number`` of ``row``. Raises RevisionUnknown."""
    if number == str(row.revision):
        return dict(row.document)
    return dict(find(kind, str(row), number_of(number) or 0, actor=actor).document)


def page(
    kind: AnyKind, name: str, *, actor: Actor, before: int | None
) -> tuple[list[AnyRevision], int | None]:
    """Return revisions without documents, newest first, and what ``before`` the next page has."""
    rows = revisions(kind, name, actor=actor).defer("document")
    # By number, not by offset: a revision that is saved meanwhile shifts nothing.
    if before is not None:
        rows = rows.filter(number__lt=before)
    listed: list[AnyRevision] = list(rows[: _PAGE_SIZE + 1])
    older = listed[_PAGE_SIZE - 1].number if len(listed) > _PAGE_SIZE else None
    return listed[:_PAGE_SIZE], older


def compare(kind: AnyKind, name: str, a: int, b: int, *, actor: Actor) -> Comparison:
    """Return what ``b`` changed of revision ``a``. Raises as ``find`` does."""
    left, right = (find(kind, name, number, actor=actor) for number in (a, b))
    return Comparison(left, right, json_diff.changes(left.document, right.document))


def latest(kind: AnyKind, row: AnyRow) -> AnyRevision:
    """Return the current revision of ``row``."""
    return kind.revisions.objects.get(**{kind.owner: row, "number": row.revision})
