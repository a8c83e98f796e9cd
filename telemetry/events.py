"""The vocabulary of events: names, levels, columns."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class Name(StrEnum):
    """Names of events."""

    # Of the pipeline.
    EXECUTION_STARTED = "execution_started"
    EXECUTION_FINISHED = "execution_finished"
    STAGE_FINISHED = "stage_finished"
    TIER_ATTEMPT = "tier_attempt"
    DELIVERY_ATTEMPT = "delivery_attempt"
    DELIVERY_CONFIRMED = "delivery_confirmed"
    # Of any runner: scripts, CLIs, CI, and Orbit's own commands.
    TASK_START = "task_start"
    TASK_END = "task_end"
    COMMAND_START = "command_start"
    COMMAND_END = "command_end"
    DECISION = "decision"
    ARTIFACT_EMIT = "artifact_emit"
    EVENT_INSERT = "event_insert"
    ERROR = "error"
    POLICY_VIOLATION = "policy_violation"
    METRIC = "metric"


class Level(StrEnum):
    """How much an event matters."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class TaskStatus(StrEnum):
    """The status of a task in the projection."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    #: The authority doesn't know the task.
    ORPHANED = "orphaned"


#: What outside runners may send. The pipeline's own names come from its transactions only.
OUTSIDE_NAMES = (
    Name.TASK_START,
    Name.TASK_END,
    Name.COMMAND_START,
    Name.COMMAND_END,
    Name.DECISION,
    Name.ARTIFACT_EMIT,
    Name.EVENT_INSERT,
    Name.ERROR,
    Name.POLICY_VIOLATION,
    Name.METRIC,
)

#: Sessions of ``telemetry selfcheck`` have this namespace, and no list of sessions shows them.
SELFCHECK_NAMESPACE = "orbit-selfcheck"
#: Events of the conductor's tasks have this stage. Their sessions are its runs, which report what
#: they do by themselves: coverage leaves them out.
CONDUCTOR_STAGE = "orbit-conductor"
#: Sessions of Orbit's own commands begin with this.
OWN_SESSIONS = "orbit:"
#: Sessions of ``telemetry ingest`` begin with this. They have a task, and no command.
INGEST_SESSION = "orbit-ingest-"

#: The columns that an event brings, in the order of the tables; ``recorded_at`` is the database's.
COLUMNS = (
    "id",
    "occurred_at",
    "name",
    "namespace",
    "profile_id",
    "run_id",
    "session_id",
    "task_id",
    "stage",
    "level",
    "duration_ms",
    "metadata",
)

#: A checked event: its values in the order of ``COLUMNS``. ``occurred_at`` has a
#: zone; ``metadata`` is an object, or its JSON text if that is known to suit jsonb.
Row = tuple[
    UUID,
    datetime,
    str,
    str | None,
    str | None,
    UUID | None,
    str | None,
    str | None,
    str | None,
    str,
    float | None,
    dict[str, Any] | str,
]
