"""The conditions of alerts, and what a look at one gives.

An app declares how a condition is read: ``orbit_site/alerting.py`` is the table of all.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum

#: More objects of one condition than these open no alerts; and then none of it is resolved.
MOST = 100


class Condition(StrEnum):
    """A condition. ``advice`` says what to do about it."""

    label: str
    advice: str

    def __new__(cls, value: str, label: str, advice: str) -> "Condition":
        """Make a member with two attributes."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.label = label
        member.advice = advice
        return member

    CYCLE_NOT_STARTED = (
        "cycle_not_started",
        "A cycle did not start",
        "See why the tick was missed, then trigger the run profile by hand if it is still needed.",
    )
    CYCLE_NOT_FINISHED = (
        "cycle_not_finished",
        "A cycle did not finish",
        "Open the cycle: it says what it waits for. Cancel it if it must not go on.",
    )
    DEAD_LETTERS = (
        "dead_letters",
        "Dead letters",
        "Open the group: requeue it when the receiver works again, or dismiss it.",
    )
    ENDPOINT_DOWN = (
        "endpoint_down",
        "An endpoint is down",
        "Call its owner. Deliveries wait up to 24 hours and go on by themselves.",
    )
    HALTED_LONG = (
        "halted_long",
        "A namespace is halted for long",
        "Resume it, or give the halt an end if it is meant to last.",
    )
    PROPOSAL_EXPIRING = (
        "proposal_expiring",
        "A proposal is about to expire",
        "Approve or reject it. After its time it can't be decided any more.",
    )
    PROJECTION_DRIFT = (
        "projection_drift",
        "The task projection drifts",
        "See what differed in the last runs of telemetry.reconcile; each run repairs it.",
    )
    RETENTION_LAG = (
        "retention_lag",
        "Retention is behind",
        "Run `manage.py prune`, and see why ops.prune did not run.",
    )
    PARTITIONS_MISSING = (
        "partitions_missing",
        "Partitions are missing",
        "Look at ops.ensure_partitions: its last run says what failed.",
    )
    AUDIT_BROKEN = (
        "audit_broken",
        "The audit trail is broken",
        "The database was changed by hand. Verify the chain, and keep the newest export safe.",
    )
    NO_CLUSTER = (
        "no_cluster",
        "No cluster is running",
        "Start one: `manage.py cluster`. Until then no cycle starts.",
    )


@dataclass(frozen=True, slots=True)
class Observation:
    """An object for which a condition holds now."""

    object: str
    summary: str
    namespace: str | None = None
    #: The page of the object, such as ``/admin/orbit/cyclerun/``.
    link: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Look:
    """For what a condition holds. If that may not be all, no alert is resolved."""

    observations: list[Observation]
    is_complete: bool = True
    #: Objects that could not be looked at: their alerts stay.
    unseen: Collection[str] = ()

    @classmethod
    def of(cls, observations: list[Observation], *, unseen: Collection[str] = ()) -> "Look":
        """Return the look at up to MOST + 1 objects."""
        return cls(observations[:MOST], len(observations) <= MOST, unseen)


Reader = Callable[[], Look]


_BY_VALUE = {str(condition): condition for condition in Condition}


def label(condition: str) -> str:
    """Return the label of a stored condition, which a later release may have dropped."""
    return _BY_VALUE[condition].label if condition in _BY_VALUE else condition


def advice(condition: str) -> str:
    """Return what to do about a stored condition."""
    return _BY_VALUE[condition].advice if condition in _BY_VALUE else ""
