"""What is read from events: artifacts, metrics, policy violations, error groups, tasks."""

from collections.abc import Mapping

from rest_framework.request import Request
from rest_framework.response import Response

from governance.rest import pages, queries
from governance.rest.fields import Field, Fields, page_of
from governance.rest.resources import Resource, operation
from governance.rest.schemas import (
    ANYTHING,
    FREE,
    NUMBER,
    SHA256,
    TEXT,
    TIME,
    UUID,
    WHOLE,
    Schema,
    maybe,
    one_of,
)
from telemetry import reading
from telemetry.events import TaskStatus

_WHEN: dict[str, queries.Reader] = {
    "from": queries.moment.on("occurred_at__gte"),
    "to": queries.moment.on("occurred_at__lt"),
    "namespace": queries.text,
    "session_id": queries.text,
    "task_id": queries.text,
}
#: Where a reading comes from.
_ORIGIN: dict[str, "Schema | Field"] = {
    "id": WHOLE,
    "event_id": UUID,
    "occurred_at": TIME,
    "namespace": maybe(TEXT),
    "session_id": maybe(TEXT),
    "task_id": maybe(TEXT),
}
ARTIFACT = Fields(
    "Artifact",
    **_ORIGIN,
    path_name=TEXT,
    size=WHOLE,
    sha256=maybe(SHA256),
    media_type=maybe(TEXT),
)
METRIC = Fields("Metric", **_ORIGIN, name=TEXT, value=NUMBER, labels=FREE, at=TIME)
VIOLATION = Fields(
    "PolicyViolation", **_ORIGIN, file=TEXT, policy=TEXT, rule=TEXT, severity=TEXT, host=TEXT
)
ERROR_GROUP = Fields(
    "ErrorGroup",
    id=WHOLE,
    day={"type": "string", "format": "date"},
    namespace=maybe(TEXT),
    stage=maybe(TEXT),
    message=TEXT,
    count=WHOLE,
    first_seen=TIME,
    last_seen=TIME,
    sample=ANYTHING,
)
TASK = Fields(
    "ProjectedTask",
    task_id=TEXT,
    namespace=maybe(TEXT),
    title=maybe(TEXT),
    status=one_of(TaskStatus),
    last_status_ts=TIME,
    priority=maybe(WHOLE),
    tags_json=ANYTHING,
    last_event_ts=TIME,
    updated_utc=TIME,
)
# As long as what an event may hold.
_PATH = queries.matching(
    queries.VISIBLE + "{1,4096}", "1 to 4,096 visible characters", longest=4096
)
_HOST = queries.matching(queries.VISIBLE + "{1,255}", "1 to 255 visible characters", longest=255)
_ARTIFACTS: dict[str, queries.Reader] = {**_WHEN, "path_name": _PATH}
_METRICS: dict[str, queries.Reader] = {**_WHEN, "name": queries.text}
_VIOLATIONS: dict[str, queries.Reader] = {
    **_WHEN,
    "severity": queries.text,
    "policy": queries.text,
    "rule": queries.text,
    "file": _PATH,
    "host": _HOST,
}
_ERROR_GROUPS: dict[str, queries.Reader] = {
    "from": queries.moment.on("last_seen__gte"),
    "to": queries.moment.on("first_seen__lt"),
    "day": queries.day,
    "namespace": queries.text,
    "stage": queries.text,
}
_TASKS: dict[str, queries.Reader] = {
    "from": queries.moment.on("last_event_ts__gte"),
    "to": queries.moment.on("last_event_ts__lt"),
    "namespace": queries.text,
    "status": queries.one_of(TaskStatus),
    "task_id": queries.text,
}


class ArtifactList(Resource):
    @operation(
        summary="List artifacts",
        query={**_ARTIFACTS, **pages.PARAMETERS},
        answers={200: page_of(ARTIFACT)},
    )
    def get(self, request: Request) -> Response:
        """The latest first. `sha256` is null for files over 50 MB."""
        return _respond(self, reading.ARTIFACTS, _ARTIFACTS, ARTIFACT)


class MetricList(Resource):
    @operation(
        summary="List metrics",
        query={**_METRICS, **pages.PARAMETERS},
        answers={200: page_of(METRIC)},
    )
    def get(self, request: Request) -> Response:
        """Each value that was reported, the latest first."""
        return _respond(self, reading.METRICS, _METRICS, METRIC)


class PolicyViolationList(Resource):
    @operation(
        summary="List policy violations",
        query={**_VIOLATIONS, **pages.PARAMETERS},
        answers={200: page_of(VIOLATION)},
    )
    def get(self, request: Request) -> Response:
        """The latest first. `host` is empty if none was named."""
        return _respond(self, reading.VIOLATIONS, _VIOLATIONS, VIOLATION)


class ErrorGroupList(Resource):
    @operation(
        summary="List error groups",
        query={**_ERROR_GROUPS, **pages.PARAMETERS},
        answers={200: page_of(ERROR_GROUP)},
    )
    def get(self, request: Request) -> Response:
        """One for each day, message, stage and namespace; the last seen first."""
        return _respond(self, reading.ERROR_GROUPS, _ERROR_GROUPS, ERROR_GROUP)


class TaskList(Resource):
    @operation(
        summary="List projected tasks",
        query={**_TASKS, **pages.PARAMETERS},
        answers={200: page_of(TASK)},
    )
    def get(self, request: Request) -> Response:
        """As their events tell them, the last heard of first."""
        return _respond(self, reading.TASKS, _TASKS, TASK)


def _respond(
    resource: Resource,
    source: reading.Source,
    readers: Mapping[str, queries.Reader],
    row: Fields,
) -> Response:
    query = source.find(resource.actor, queries.filters(resource.query, readers))
    return pages.respond(
        resource.request,
        query.rows,
        row.of,
        query=resource.query,
        key=query.key,
        scanned=query.scanned,
    )
