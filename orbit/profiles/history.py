"""Revisions of a document, and how two of them differ."""

from dataclasses import dataclass

from django.db.models import QuerySet

from governance.access.actors import Actor
from governance.kernel import json_diff
from orbit.errors import RevisionUnknown
from orbit.models import ProfileRevision, RunProfileRevision
from orbit.profiles.kinds import RUN_PROFILE, AnyKind, AnyRevision, AnyRow

_LARGEST = 2**31 - 1

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


def compare(kind: AnyKind, name: str, a: int, b: int, *, actor: Actor) -> Comparison:
    """Return what ``b`` changed of revision ``a``. Raises as ``find`` does."""
    left, right = (find(kind, name, number, actor=actor) for number in (a, b))
    return Comparison(left, right, json_diff.changes(left.document, right.document))


def latest(kind: AnyKind, row: AnyRow) -> AnyRevision:
    """Return the current revision of ``row``."""
    return kind.revisions.objects.get(**{kind.owner: row, "number": row.revision})
