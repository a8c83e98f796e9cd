"""The names of events."""

from enum import StrEnum


class Name(StrEnum):
    """Events of the pipeline."""

    EXECUTION_STARTED = "execution_started"
    EXECUTION_FINISHED = "execution_finished"
    STAGE_FINISHED = "stage_finished"
    TIER_ATTEMPT = "tier_attempt"
    DELIVERY_ATTEMPT = "delivery_attempt"
    DELIVERY_CONFIRMED = "delivery_confirmed"
