"""What the page of one operation run shows."""

from dataclasses import dataclass

from governance.kernel import clock
from governance.models import OperationRun, OperationRunItem
from governance.operations.ledger import COUNTS
from governance.states import ItemOutcome, Operation

#: Failures that the page lists; the others are in the download.
LISTED = 20
#: An estimate after less time would jump.
_SETTLED_SECONDS = 5


@dataclass(frozen=True, slots=True)
class OperationPage:
    """An operation run, what it counted, and what failed."""

    counts: list[tuple[str, int]]
    #: Objects a second, and the seconds that the rest takes at that rate.
    rate: float | None
    seconds_left: float | None
    failures: list[OperationRunItem]
    has_items: bool


def read(run: OperationRun) -> OperationPage:
    """Return the page of ``run``, which the caller sees. Two queries."""
    rate = _rate(run)
    left = int(run.progress.get("total", 0)) - int(run.progress.get("processed", 0))
    counts = {**run.progress, **run.summary_counts}
    items = OperationRunItem.objects.filter(run=run)
    failed = items.filter(outcome=ItemOutcome.FAILED).order_by("-object_id")
    return OperationPage(
        counts=[(name, int(counts[name])) for name in COUNTS if name in counts],
        rate=rate,
        seconds_left=left / rate if rate and left > 0 else None,
        failures=list(failed[:LISTED]),
        has_items=items.exists(),
    )


def _rate(run: OperationRun) -> float | None:
    if run.started_at is None or run.status != Operation.RUNNING:
        return None
    seconds = (clock.now() - run.started_at).total_seconds()
    processed = int(run.progress.get("processed", 0))
    return processed / seconds if processed and seconds >= _SETTLED_SECONDS else None
