"""The states of governance."""

from enum import StrEnum

from governance.kernel.machines import Machine


class Mode(StrEnum):
    """The mode of a namespace: halting while deliveries are in flight, then quiet."""

    RUNNING = "running"
    DRAINING = "draining"
    HALTING = "halting"
    QUIET = "quiet"


MODE = Machine(
    Mode,
    {
        Mode.RUNNING: {Mode.DRAINING, Mode.HALTING},
        Mode.DRAINING: {Mode.RUNNING, Mode.HALTING},
        Mode.HALTING: {Mode.QUIET, Mode.RUNNING},
        Mode.QUIET: {Mode.RUNNING},
    },
)


class Stopped(StrEnum):
    """What is stopped: a namespace, its new work, or the workspace."""

    HALT = "halt"
    DRAIN = "drain"
    PAUSE = "pause"


class Operation(StrEnum):
    """The status of an operation run; queued until its first slice."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"


OPERATION = Machine(
    Operation,
    {
        Operation.QUEUED: {Operation.RUNNING, Operation.COMPLETED},
        Operation.RUNNING: {Operation.COMPLETED},
    },
)
OPERATION_ACTIVE = (Operation.QUEUED, Operation.RUNNING)


class Outcome(StrEnum):
    """How an operation run ended. Skipped: nothing to do."""

    SUCCEEDED = "succeeded"
    PARTIALLY_SUCCEEDED = "partially_succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class Every(StrEnum):
    """How often periodic work is started: once in each of these intervals of UTC."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


class ItemOutcome(StrEnum):
    """The outcome of an item of an operation run."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


class Notification(StrEnum):
    """The status of a message about an alert; failed: given up."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


# A 2xx counts also after the message was given up: its sender was slow.
NOTIFICATION = Machine(
    Notification,
    {
        Notification.PENDING: {Notification.DELIVERED, Notification.FAILED},
        Notification.FAILED: {Notification.DELIVERED},
    },
)


class Phase(StrEnum):
    """What a message about an alert says."""

    OPENED = "opened"
    CLOSED = "closed"
