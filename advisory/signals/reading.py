"""Read stored signals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from advisory.errors import SignalUnknown
from advisory.models import AdvisorySignal
from governance.access.actors import Actor


def visible_to(actor: Actor) -> QuerySet[AdvisorySignal]:
    """Return the signals of the actor's namespaces, the latest first."""
    return AdvisorySignal.objects.filter(actor.filter())


#: Columns whose rows an index finds in the order of the list.
_INDEXED = frozenset({"profile_id", "namespace", "computation_id"})


@dataclass(frozen=True, slots=True)
class Listed:
    """Rows, and those to look at if no index finds them: see ``governance.rest.pages.respond``."""

    rows: QuerySet[AdvisorySignal]
    scanned: QuerySet[AdvisorySignal] | None


def listed(actor: Actor, filters: Mapping[str, Any]) -> Listed:
    """Return the signals that ``actor`` sees and that fit ``filters`` (lookup: value)."""
    in_time = {name: value for name, value in filters.items() if "__" in name}
    others = {name: value for name, value in filters.items() if "__" not in name}
    # Signals of one kind go by an index, too, but not those of some namespaces.
    is_found = bool(_INDEXED & others.keys()) or (
        others.keys() <= {"signal"} and actor.namespaces is None
    )
    return Listed(
        visible_to(actor).filter(**filters),
        None if is_found else AdvisorySignal.objects.filter(**in_time),
    )


def find(signal_id: UUID, *, actor: Actor) -> AdvisorySignal:
    """Return a signal with its computation. Raises SignalUnknown if ``actor`` doesn't see it."""
    signal = visible_to(actor).select_related("computation").filter(pk=signal_id).first()
    if signal is None:
        raise SignalUnknown(f"There is no signal {signal_id}.")
    return signal


def latest(
    profile_id: str, namespace: str | None, *, actor: Actor, count: int = 1
) -> list[AdvisorySignal]:
    """Return the last ``count`` signals of a profile in a namespace, the latest first."""
    rows = visible_to(actor).filter(profile_id=profile_id, namespace=namespace)
    return list(rows.order_by("-created_at", "-id")[:count])
