"""The tables of telemetry. They refer to other objects by plain ids, never by foreign key."""

from telemetry.models.archive import ArchiveChunk, TelemetryArchive, TelemetryDay
from telemetry.models.event import TelemetryEvent
from telemetry.models.outbox import OutboxEvent, OutboxState, RefusedEvent
from telemetry.models.projection import TaskProjection
from telemetry.models.readings import Artifact, ErrorGroup, Metric, PolicyViolation

__all__ = [
    "ArchiveChunk",
    "Artifact",
    "ErrorGroup",
    "Metric",
    "OutboxEvent",
    "OutboxState",
    "PolicyViolation",
    "RefusedEvent",
    "TaskProjection",
    "TelemetryArchive",
    "TelemetryDay",
    "TelemetryEvent",
]
