"""``/telemetry/events``: the event log."""

from rest_framework.request import Request
from rest_framework.response import Response

from governance.rest import pages, queries
from governance.rest.fields import Fields, page_of
from governance.rest.resources import operation
from governance.rest.schemas import FREE, NUMBER, TEXT, TIME, UUID, maybe, one_of
from telemetry import reading
from telemetry.api.ingest import TelemetryEventIngest
from telemetry.events import Level, Name

_FILTERS: dict[str, queries.Reader] = {
    "from": queries.moment.on("occurred_at__gte"),
    "to": queries.moment.on("occurred_at__lt"),
    "name": queries.one_of(Name),
    "namespace": queries.text,
    "level": queries.one_of(Level),
    "session_id": queries.text,
    "task_id": queries.text,
    "run_id": queries.identifier,
    "profile_id": queries.text,
    "stage": queries.text,
}
EVENT = Fields(
    "TelemetryEvent",
    id=UUID,
    occurred_at=TIME,
    recorded_at=TIME,
    name=TEXT,
    namespace=maybe(TEXT),
    profile_id=maybe(TEXT),
    run_id=maybe(UUID),
    session_id=maybe(TEXT),
    task_id=maybe(TEXT),
    stage=maybe(TEXT),
    level=one_of(Level),
    duration_ms=maybe(NUMBER),
    metadata=FREE,
)


class TelemetryEvents(TelemetryEventIngest):
    @operation(
        summary="List events",
        query={**_FILTERS, **pages.PARAMETERS},
        answers={200: page_of(EVENT)},
    )
    def get(self, request: Request) -> Response:
        """The latest first, of all days that are stored; `from` and `to` narrow them.

        Filters other than these, `session_id`, `task_id` and `run_id` look at 20,000 events a
        page: then a page may be short, even empty, while `next` goes on.
        """
        query = reading.EVENTS.find(self.actor, queries.filters(self.query, _FILTERS))
        return pages.respond(
            request,
            query.rows,
            EVENT.of,
            query=self.query,
            key=query.key,
            scanned=query.scanned,
        )
