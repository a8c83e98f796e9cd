"""Compute signals, then let the policies act on them. Every door that computes calls this."""

import logging
from dataclasses import dataclass
from uuid import UUID

from advisory.autonomy import evaluate as evaluating
from advisory.autonomy.evaluate import Evaluation
from advisory.signals import compute
from advisory.signals.compute import Computation
from advisory.signals.windows import Window
from governance.access.actors import Actor

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Computed:
    """A stored computation, and what the policies did after it."""

    computation: Computation
    evaluation: Evaluation


def compute_and_act(
    *,
    actor: Actor,
    profile_id: str | None = None,
    window: Window | None = None,
    may_take_long: bool = False,
) -> Computed:
    """Compute and store signals as ``signals.compute`` does, then evaluate the policies.

    Raises what ``compute`` raises. While autonomy is off, only the evaluation is skipped.
    """
    computation = compute.compute(
        actor=actor, profile_id=profile_id, window=window, may_take_long=may_take_long
    )
    return Computed(computation, act_on(computation.row.pk))


def act_on(computation_id: UUID, *, most: int | None = None) -> Evaluation:
    """Evaluate the policies after a committed computation; an error is logged, never raised."""
    try:
        return evaluating.evaluate(computation_id, most=most)
    except Exception as error:
        # The signals are on record, and the next computation is evaluated as well.
        log.exception("Autonomy failed after the computation %s of signals", computation_id)
        return Evaluation(problem=f"{type(error).__name__}: see the log.")
