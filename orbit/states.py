"""All state machines of the app."""

from enum import StrEnum

from governance.kernel.machines import Machine


class Cycle(StrEnum):
    """One pass of the pipeline."""

    QUEUED = "queued"
    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    PARTIAL_SUCCESS = "partial_success"
    FAILED = "failed"
    CANCELLED = "cancelled"


_ENDS = {Cycle.SUCCESS, Cycle.PARTIAL_SUCCESS, Cycle.FAILED}
CYCLE = Machine(
    Cycle,
    {
        Cycle.QUEUED: {Cycle.PENDING, Cycle.CANCELLED},
        Cycle.PENDING: {Cycle.RUNNING, Cycle.FAILED, Cycle.CANCELLED},
        Cycle.RUNNING: {*_ENDS, Cycle.CANCELLED},
    },
)
ACTIVE = (Cycle.PENDING, Cycle.RUNNING)


class Tier(StrEnum):
    """One of a cycle's three transformations."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILED = "failed"


TIER = Machine(Tier, {Tier.PENDING: {Tier.SUCCESS, Tier.FAILED}})


class Job(StrEnum):
    """A delivery. A late 2xx delivers a cancelled or dead one."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    DEAD = "dead"
    CANCELLED = "cancelled"


JOB = Machine(
    Job,
    {
        Job.PENDING: {Job.SENDING, Job.DELIVERED, Job.DEAD, Job.CANCELLED},
        Job.SENDING: {Job.DELIVERED, Job.PENDING, Job.DEAD, Job.CANCELLED},
        Job.DEAD: {Job.DELIVERED},
        Job.CANCELLED: {Job.DELIVERED},
    },
)


class Attempt(StrEnum):
    """One request. ``unsent``: no byte left. ``unknown``: it may have arrived."""

    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"
    UNKNOWN = "unknown"
    UNSENT = "unsent"


ATTEMPT = Machine(
    Attempt,
    {
        Attempt.SENDING: {Attempt.DELIVERED, Attempt.FAILED, Attempt.UNKNOWN, Attempt.UNSENT},
        Attempt.UNKNOWN: {Attempt.DELIVERED},
    },
)


class Letter(StrEnum):
    """A dead letter: open until a user or a late 2xx closes it."""

    OPEN = "open"
    REQUEUED = "requeued"
    DISMISSED = "dismissed"
    DELIVERED_LATE = "delivered_late"


LETTER = Machine(
    Letter,
    {
        Letter.OPEN: {Letter.REQUEUED, Letter.DISMISSED, Letter.DELIVERED_LATE},
        Letter.REQUEUED: {Letter.DELIVERED_LATE},
    },
)


class Tick(StrEnum):
    """The outcome of a tick. ``due``: its task has not run yet."""

    DUE = "due"
    STARTED = "started"
    SKIPPED = "skipped"
    REFUSED = "refused"
    MISSED = "missed"
    LATE = "late"


_TICK_ENDS = {Tick.STARTED, Tick.SKIPPED, Tick.REFUSED, Tick.MISSED, Tick.LATE}
TICK = Machine(Tick, {Tick.DUE: _TICK_ENDS})


class ProfileState(StrEnum):
    """Whether a profile or run profile is used."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class Trigger(StrEnum):
    """Where a cycle came from."""

    CRON = "cron"
    REST = "rest"
    ADMIN = "admin"
    COMMAND = "command"


class TaskState(StrEnum):
    """A conductor task. A retry makes a failed one run again."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


TASK = Machine(
    TaskState,
    {
        TaskState.PENDING: {TaskState.RUNNING, TaskState.CANCELLED},
        TaskState.RUNNING: {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED},
        TaskState.FAILED: {TaskState.RUNNING, TaskState.CANCELLED},
    },
)

#: A conductor run ends with its roots; a retry of a failed root starts it again.
CONDUCTOR_RUN = Machine(
    TaskState,
    {
        TaskState.PENDING: {
            TaskState.RUNNING,
            TaskState.SUCCEEDED,
            TaskState.FAILED,
            TaskState.CANCELLED,
        },
        TaskState.RUNNING: {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED},
        TaskState.FAILED: {TaskState.RUNNING, TaskState.CANCELLED},
    },
)


class FailurePolicy(StrEnum):
    """What a parent does when a child fails for good."""

    WAIT_ALL = "wait_all"
    FAIL_FAST = "fail_fast"
    TOLERATE = "tolerate"


class SeenKind(StrEnum):
    """What a user can mark as seen."""

    CYCLE = "cycle"
    GROUP = "group"
