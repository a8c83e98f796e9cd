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


def of(actor: Actor) -> list[OperationRun]:
    """Return the newest runs that ``actor`` began within the last day and that ended."""
    began = identifiers.uuid7_floor(clock.now() - WITHIN)
    runs = OperationRun.objects.filter(
        ledger.visible(actor), id__gte=began, initiator=actor.name, status=Operation.COMPLETED
    )
    return list(runs.only("id", "type", "outcome", "finished_at").order_by("-id")[:LISTED])
