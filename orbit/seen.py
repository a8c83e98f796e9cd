"""Say that you look after something, so that two on-calls don't both dig."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models.functions import Now

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from orbit.models import SeenMark
from orbit.states import SeenKind

MAX_KEYS = 200
_OBJECT_TYPES = {SeenKind.CYCLE: "cycle", SeenKind.GROUP: "dead_letter_group"}


@dataclass(frozen=True, slots=True)
class Seen:
    """Who looks after it, and since when."""

    by: str
    at: datetime


def mark(
    kind: SeenKind, keys: Iterable[str], actor: Actor, *, namespace: str | None = None
) -> None:
    """Mark the objects as seen by ``actor``; an older mark is replaced. One audit entry.

    The caller has checked that ``actor`` sees the objects. At most ``MAX_KEYS`` are marked.
    """
    actor.require(Scope.OPERATE)
    names = sorted(set(keys))[:MAX_KEYS]  # one order for all, against deadlocks
    if not names:
        return
    with audit.transaction():
        SeenMark.objects.bulk_create(
            [SeenMark(kind=kind, key=name, by=actor.name, at=Now()) for name in names],
            update_conflicts=True,
            unique_fields=["kind", "key"],
            update_fields=["by", "at"],
        )
        audit.record(
            Action.SEEN_MARKED,
            actor=actor.name,
            object_type=_OBJECT_TYPES[kind],
            object_id=names[0] if len(names) == 1 else "",
            namespace=namespace,
            after={"seen_by": actor.name, "keys": names},
        )


def of(kind: SeenKind, keys: Iterable[str]) -> dict[str, Seen]:
    """Return the marks of those objects that have one, by key."""
    marks = SeenMark.objects.filter(kind=kind, key__in=list(keys))
    return {mark.key: Seen(mark.by, mark.at) for mark in marks}
