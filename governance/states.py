"""The states of governance."""

from enum import StrEnum

from governance.kernel.machines import Machine


class Mode(StrEnum):
    """What a namespace may do: run, finish what runs (draining), or nothing (halting until nothing is in flight, then quiet)."""

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
    """What a stop holds: everything in a namespace (halt), new starts in it (drain), everything everywhere (pause)."""

    HALT = "halt"
    DRAIN = "drain"
    PAUSE = "pause"


class Operation(StrEnum):
    """A run of background work: queued until its first slice, completed with an outcome."""

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
    """How an operation run ended; skipped means that there was nothing for it to do."""

    SUCCEEDED = "succeeded"
    PARTIALLY_SUCCEEDED = "partially_succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class ItemOutcome(StrEnum):
    """What became of one object of an operation run; one without an outcome wasn't reached yet."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
