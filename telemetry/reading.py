"""Find rows of telemetry: by time, by an index, or within a bounded number of the latest."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Model, QuerySet

from governance.access.actors import Actor
from governance.kernel import identifiers
from governance.rest import queries
from telemetry.models import (
    Artifact,
    ErrorGroup,
    Metric,
    PolicyViolation,
    TaskProjection,
    TelemetryEvent,
)

# The table has no index on ids alone. A runner's clock may differ from the one that made the id.
_AROUND = timedelta(days=1)
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


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


def near(
    rows: "QuerySet[TelemetryEvent]", event_id: UUID, *, at: str | None = None
) -> TelemetryEvent | None:
    """Return the event among ``rows``: at the time ``at``, near that of its id, or of any time."""
    rows = rows.filter(id=event_id)
    try:
        if at and (event := rows.filter(occurred_at=queries.moment(at)).first()):
            return event
    except ValueError:
        pass
    made_at = identifiers.moment_of(event_id)
    if made_at is not None and _EARLIEST < made_at < _LATEST:
        span = (made_at - _AROUND, made_at + _AROUND)
        if event := rows.filter(occurred_at__range=span).first():
            return event
    return rows.first()
