"""Find rows of telemetry: by time, by an index, or within a bounded number of the latest."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, QuerySet

from governance.access.actors import Actor
from telemetry.models import (
    Artifact,
    ErrorGroup,
    Metric,
    PolicyViolation,
    TaskProjection,
    TelemetryEvent,
)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows, and how to page through them: see ``governance.rest.pages.respond``."""

    rows: "QuerySet[Any]"
    key: tuple[str, str]
    scanned: "QuerySet[Any] | None"


@dataclass(frozen=True, slots=True)
class Source:
    """A table, the unique key of its order, and the columns that an index finds."""

    model: type[Model]
    key: tuple[str, str]
    indexed: frozenset[str]

    def find(self, actor: Actor, filters: Mapping[str, Any]) -> Rows:
        """Return the rows that ``actor`` may see and that fit ``filters`` (lookup: value)."""
        in_time = {name: value for name, value in filters.items() if "__" in name}
        others = {name: value for name, value in filters.items() if "__" not in name}
        rows = self.model._default_manager.filter(**in_time)
        is_narrow = bool(self.indexed & others.keys())
        is_plain = not others and actor.namespaces is None
        return Rows(
            rows.filter(actor.filter(), **others),
            self.key,
            None if is_narrow or is_plain else rows,
        )


EVENTS = Source(
    TelemetryEvent, ("occurred_at", "id"), frozenset({"session_id", "task_id", "run_id"})
)
ARTIFACTS = Source(Artifact, ("occurred_at", "id"), frozenset({"session_id"}))
METRICS = Source(Metric, ("occurred_at", "id"), frozenset({"name"}))
VIOLATIONS = Source(PolicyViolation, ("occurred_at", "id"), frozenset())
ERROR_GROUPS = Source(ErrorGroup, ("last_seen", "id"), frozenset({"day"}))
TASKS = Source(TaskProjection, ("last_event_ts", "task_id"), frozenset({"task_id"}))
