"""Say that you look after something, so that two on-calls don't both dig."""

import hashlib
import json
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


def suffix(namespaces: Iterable[str] | None) -> str:
    """Return the end of keys of groups that users confined to ``namespaces`` marked.

    A group may have letters of several namespaces: such a mark doesn't count for other users.
    """
    if namespaces is None:
        return ""
    names = json.dumps(sorted(namespaces)).encode()
    return f"@{hashlib.sha256(names).hexdigest()[:23]}"


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
    own = suffix(actor.namespaces) if kind == SeenKind.GROUP else ""
    with audit.transaction():
        SeenMark.objects.bulk_create(
            [SeenMark(kind=kind, key=name + own, by=actor.name, at=Now()) for name in names],
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


def of(
    kind: SeenKind, keys: Iterable[str], *, namespaces: Iterable[str] | None = None
) -> dict[str, Seen]:
    """Return the marks of those objects that have one, by key.

    ``namespaces``: also those by users confined to exactly these.
    """
    own = suffix(namespaces)
    names = [key + end for key in keys for end in {"", own}]
    marks = SeenMark.objects.filter(kind=kind, key__in=names).order_by("at")
    return {mark.key.removesuffix(own): Seen(mark.by, mark.at) for mark in marks}
