"""Revisions of a profile or run profile: who saved what, when, why and by which way; the difference of any two."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from governance.access.actors import Actor
from governance.kernel import json_diff
from orbit.errors import RevisionUnknown
from orbit.profiles import kinds
from orbit.profiles.kinds import RUN_PROFILE, Kind

_LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two revisions, the older one first where they were asked for so, and every place at which they differ."""

    left: Any
    right: Any
    changes: list[json_diff.Change]


def listed(kind: Kind, name: str, *, actor: Actor) -> "QuerySet[Any]":
    """Return the revisions of ``name`` that ``actor`` sees, newest first: none from when a run profile ran where they see nothing.

    What is hidden keeps its history, for those who see the whole workspace. Raises ``kind.unknown``.
    """
    row = (
        kind.rows.objects.filter(**{kind.key: name}, hidden=True).first()
        if actor.namespaces is None and "\x00" not in name
        else None
    )
    return _of(kind, row or kinds.found(kind, name, actor=actor), actor)


def one(kind: Kind, name: str, number: int, *, actor: Actor) -> Any:
    """Return revision ``number`` of ``name``. Raises ``kind.unknown`` or RevisionUnknown."""
    row = (
        listed(kind, name, actor=actor).filter(number=number).first()
        if 0 < number <= _LARGEST
        else None
    )
    if row is None:
        raise RevisionUnknown(f"There is no revision {str(number)[:20]} of {name}.")
    return row


def compare(kind: Kind, name: str, a: int, b: int, *, actor: Actor) -> Comparison:
    """Return what revision ``b`` changed of revision ``a``. Raises as ``one`` does."""
    left, right = (one(kind, name, number, actor=actor) for number in (a, b))
    return Comparison(left, right, json_diff.changes(left.document, right.document))


def latest(kind: Kind, row: Any) -> Any:
    """Return the current revision of ``row``."""
    return kind.revisions.objects.get(**{kind.owner: row, "number": row.revision})


def _of(kind: Kind, row: Any, actor: Actor) -> "QuerySet[Any]":
    rows = kind.revisions.objects.filter(**{kind.owner: row}).order_by("-number")
    if kind is RUN_PROFILE and actor.namespaces is not None:
        rows = rows.filter(document__namespace__in=sorted(actor.namespaces))
    return rows
