"""The table of all conditions, and the operation run ``ops.evaluate_alerts``.

A cluster can't find that no cluster runs: the web server looks for that (``processes/alerts.py``).
"""

from collections.abc import Mapping
from datetime import datetime

from advisory.decisions import alerts as proposals
from governance.alerts import evaluate, readers
from governance.alerts.conditions import Condition, Reader
from governance.operations import ledger
from governance.operations.slices import Slice
from governance.states import Outcome
from orbit.alerts import readers as pipeline
from orbit.alerts import send

READERS: Mapping[Condition, Reader] = {
    **readers.READERS,
    **pipeline.READERS,
    **proposals.READERS,
}


def run_slice(slice_: Slice) -> datetime | None:
    """Evaluate all alerts. What is sent of them is sent by maintenance."""
    counts = evaluate.evaluate(READERS, send.channels())
    outcome = Outcome.PARTIALLY_SUCCEEDED if counts["failed"] else Outcome.SUCCEEDED
    ledger.complete(slice_.run, outcome, counts, progress=counts)
    return None


def watch_cluster() -> None:
    """Open or resolve the alert that no cluster runs. Any number of processes may do it."""
    evaluate.apply(Condition.NO_CLUSTER, pipeline.no_cluster(), send.channels())
