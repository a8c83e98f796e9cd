"""Checkpoints: append-only marks of steps that are done."""

from enum import StrEnum

from governance.kernel import sql


class Checkpoint(StrEnum):
    """A step that is done."""

    CYCLE_STARTED = "cycle_started"
    INITIATION_COMPLETE = "initiation_complete"
    # The tier ended, with success or not.
    TIER1_COMPLETE = "tier1_complete"
    TIER2_COMPLETE = "tier2_complete"
    TIER3_COMPLETE = "tier3_complete"
    NORMALIZATION_COMPLETE = "normalization_complete"
    DISPATCH_ENQUEUED = "dispatch_enqueued"
    # The cycle no longer waits for deliveries.
    DISPATCH_COMPLETE = "dispatch_complete"
    CYCLE_FINISHED = "cycle_finished"


TIERS = {1: Checkpoint.TIER1_COMPLETE, 2: Checkpoint.TIER2_COMPLETE, 3: Checkpoint.TIER3_COMPLETE}

#: A CTE of fenced statements; its parameter ``checkpoints`` is JSON. A checkpoint is written by the
#: statement that writes the step's result, so neither exists without the other.
CHECKPOINTS = sql.fragment(__name__, "checkpoints")
