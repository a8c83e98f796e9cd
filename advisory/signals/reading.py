"""Read stored signals."""

from uuid import UUID

from django.db.models import QuerySet

from advisory.errors import SignalUnknown
from advisory.models import AdvisorySignal
from governance.access.actors import Actor


def visible_to(actor: Actor) -> QuerySet[AdvisorySignal]:
    """Return the signals of the actor's namespaces, the latest first."""
    return AdvisorySignal.objects.filter(actor.filter())


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
