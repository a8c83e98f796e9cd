"""Compute signals, then let the policies act on them. Every door that computes calls this."""

import logging
from uuid import UUID

from advisory.autonomy import evaluate as evaluating
from advisory.autonomy.evaluate import Evaluation

log = logging.getLogger(__name__)


def act_on(computation_id: UUID) -> Evaluation:
    """Evaluate the policies after a committed computation; an error is logged, never raised."""
    try:
        return evaluating.evaluate(computation_id)
    except Exception as error:
        # The signals are on record. The next computation is evaluated again.
        log.exception("Autonomy failed after the computation %s of signals", computation_id)
        return Evaluation(problem=f"{type(error).__name__}: see the log.")
