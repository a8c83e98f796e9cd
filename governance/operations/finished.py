"""Operations that a user began and that ended lately."""

from datetime import timedelta

from governance.access.actors import Actor
from governance.kernel import clock, identifiers
from governance.models import OperationRun
from governance.operations import ledger
from governance.states import Operation

#: Older ones are in the list of operations only.
WITHIN = timedelta(days=1)
LISTED = 5


def of(actor: Actor, *, since: str) -> list[OperationRun]:
    """Return the newest runs that ``actor`` began within a day and that ended after ``since``.

    ``since`` is a time such as "2026-11-29T12:00:00Z" from the user's browser; "" is before all.
    """
    began = identifiers.uuid7_floor(clock.now() - WITHIN)
    runs = OperationRun.objects.filter(
        ledger.visible(actor), id__gte=began, initiator=actor.name, status=Operation.COMPLETED
    )
    newest = runs.only("id", "type", "outcome", "finished_at").order_by("-id")[:LISTED]
    return [
        run for run in newest if run.finished_at and f"{run.finished_at:%Y-%m-%dT%H:%M:%SZ}" > since
    ]
