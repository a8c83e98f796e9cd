"""One slice of a run at a time: the guard at its beginning, and what happens to a run whose slices fail.

No worker is held by a run. A task does one slice in one transaction, which begins with the lock of the run's row, so a doubled task does
nothing, and a slice whose worker dies never happened. A run that isn't the canonical one of its identity ends at once as skipped.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.db.models.functions import Now

from governance import audit
from governance.models import OperationRun
from governance.operations import counts, ledger
from governance.states import OPERATION, Operation, Outcome

log = logging.getLogger(__name__)

MOST_FAULTS = 5
# What this release doesn't know another one may, which runs beside it.
UNKNOWN_WAIT = 30.0

CLAIM = """SELECT r.*, extract(epoch FROM clock_timestamp() - r.next_due_at)::float8 AS late, EXISTS (SELECT 1 FROM governance_operationrun o
    WHERE o.type = r.type AND o.identity_hash = r.identity_hash AND o.namespace_id IS NOT DISTINCT FROM r.namespace_id
        AND o.status IN ('queued', 'running') AND o.id < r.id) AS doubled
FROM governance_operationrun r WHERE r.id = %s AND r.status IN ('queued', 'running') AND r.next_due_at <= clock_timestamp()
FOR NO KEY UPDATE OF r SKIP LOCKED"""


@dataclass(frozen=True, slots=True)
class Slice:
    """A piece of a run, which this transaction alone may do; ``late`` are the seconds since it was due."""

    run: OperationRun
    late: float


#: Does one slice and says when the next one is due; None when the run has ended.
Handler = Callable[[Slice], datetime | None]


def begin(run_id: UUID) -> Slice | None:
    """Take the run's next slice for the open transaction; None where there is none to do: not due, ended, unknown, or at work elsewhere."""
    found = list(OperationRun.objects.raw(CLAIM, [run_id]))
    if not found:
        return None
    run = found[0]
    if run.doubled:  # type: ignore[attr-defined]
        note = {**run.progress, "note": "another run of the same identity is active"}
        ledger.complete(run, Outcome.SKIPPED, counts.of(run.progress), progress=note)
        return None
    if run.status == Operation.QUEUED:
        OPERATION.move(OperationRun.objects.filter(pk=run.pk), Operation.RUNNING, started_at=Now())
    return Slice(run, max(0.0, run.late))  # type: ignore[attr-defined]


def work(
    run_id: UUID, handlers: Mapping[str, Handler], *, wake: Callable[[UUID, datetime], None]
) -> None:
    """Do the run's next slice by the handler of its type, and have the one after it woken, in one transaction.

    A slice that fails is tried again a little later, and after ``MOST_FAULTS`` in a row the run ends as failed. Where the database is away,
    the error goes on to the caller: nothing happened, and whoever watches over runs wakes this one again.
    """
    try:
        with audit.transaction():
            taken = begin(run_id)
            if taken is None:
                return
            handler = handlers.get(taken.run.type)
            due = (
                ledger.progress(taken.run, taken.run.progress, wait=UNKNOWN_WAIT)
                if handler is None
                else handler(taken)
            )
            if due is not None:
                wake(run_id, due)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        # Whatever it is, the run must not be tried for ever.
        log.exception("A slice of the operation run %s failed", run_id)
        due = _fault(run_id, error)
        if due is not None:
            wake(run_id, due)


def _fault(run_id: UUID, error: Exception) -> datetime | None:
    with transaction.atomic():
        run = OperationRun.objects.select_for_update(no_key=True).get(pk=run_id)
        if run.status == Operation.COMPLETED:
            return None
        if run.faults + 1 >= MOST_FAULTS:
            note = {
                **run.progress,
                "note": f"given up after {MOST_FAULTS} failures in a row: {type(error).__name__}",
            }
            ledger.complete(
                run, Outcome.FAILED, counts.of(run.progress), progress=note, faults=run.faults + 1
            )
            return None
        OPERATION.move(
            OperationRun.objects.filter(pk=run_id, status=Operation.QUEUED),
            Operation.RUNNING,
            started_at=Now(),
        )
        due = ledger.progress(run, run.progress, wait=2.0**run.faults)
        OperationRun.objects.filter(pk=run_id).update(faults=run.faults + 1)
        return due
