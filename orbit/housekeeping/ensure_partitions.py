"""The operation run ``ops.ensure_partitions``: make what is missing, and say what isn't right.

Maintenance makes partitions within seconds too, since the database's clock may jump.
"""

from datetime import datetime

from django.db import transaction

from governance.operations import ledger
from governance.operations.slices import Slice
from governance.states import Outcome
from orbit.records import partitions
from telemetry import database, waiting
from telemetry import partitions as event_partitions

#: The type of the operation run.
TYPE = "ops.ensure_partitions"


class _Busy(Exception):
    """A dump or another long reader holds a table: its partitions are made later."""


def run_slice(slice_: Slice) -> datetime | None:
    """Do all of it: a few statements, and most runs find nothing to do."""
    run, notes, made = slice_.run, [], 0
    try:
        # A savepoint: a lock that isn't free mustn't end the slice.
        with transaction.atomic():
            made = partitions.ensure(_busy)
    except _Busy as busy:
        notes.append(str(busy))
    states = partitions.states()
    if (trouble := waiting.problem()) is not None:
        notes.append(f"Telemetry's database wasn't looked at: {trouble}.")
    elif database.IS_SEPARATE:
        # The forwarder makes these.
        states = [*states, *event_partitions.states()]
    problems = partitions.problems_of(states)
    wrong = sum(not (state.made and not state.default_used) for state in states)
    progress = {
        "total": len(states),
        "processed": len(states),
        "succeeded": len(states) - wrong,
        "failed": wrong,
        "created": made,
    }
    if notes or problems:
        progress["note"] = " ".join([*notes, *problems])  # type: ignore[assignment]
    outcome = Outcome.PARTIALLY_SUCCEEDED if notes or problems else Outcome.SUCCEEDED
    ledger.complete(run, outcome, ledger.counts_in(progress), progress=progress)
    return None


def _busy(what: str, error: object) -> None:
    raise _Busy(f"{what}: {' '.join(str(error).split())}.")
