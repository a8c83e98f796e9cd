"""``/schedules``: schedules, their ticks, and why a run profile ran or didn't."""

from rest_framework.request import Request
from rest_framework.response import Response

from governance.kernel import clock
from governance.rest import pages, queries
from governance.rest.fields import Fields, field, nullable, page_of
from governance.rest.resources import Resource, operation
from governance.rest.schemas import FREE, TEXT, TIME, TRUTH, WHOLE, many, maybe, one_of, record
from governance.rest.schemas import UUID as ID
from governance.states import Stopped
from orbit.errors import RunProfileUnknown
from orbit.schedules import explain, listing
from orbit.states import Cycle, ProfileState, Tick, Trigger

_TICK_FILTERS: dict[str, queries.Reader] = {
    "schedule": queries.text,
    "outcome": queries.one_of(Tick),
    "from": queries.moment.on("due_from"),
    "to": queries.moment.on("due_to"),
}
_WHY: dict[str, queries.Reader] = {
    "run_profile_id": queries.required(queries.text),
    "at": queries.required(queries.moment),
}
#: Shows an ``orbit.schedules.listing.ScheduleSummary``.
_SCHEDULE = Fields(
    "Schedule",
    name=field(TEXT, "row.name"),
    cron=field(maybe(TEXT), lambda summary: summary.row.cron or None),
    configured_cron=field(maybe(TEXT), lambda summary: summary.configured_cron or None),
    time_zone=TEXT,
    in_words=field(TEXT, "words"),
    enabled=field(TRUTH, "row.on"),
    on_missed=field(
        maybe(one_of(["once", "skip"])),
        lambda summary: summary.row.configured and summary.row.configured.on_missed,
    ),
    max_lateness=field(
        maybe(WHOLE), lambda summary: summary.row.configured and summary.row.configured.max_lateness
    ),
    next_due_at=many(TIME),
    overdue_since=maybe(TIME),
    last_tick=maybe(record(id=ID, tick_key=TEXT, due_at=TIME, outcome=one_of(Tick))),
    changed=nullable(
        Fields(
            off=TRUTH,
            cron=field(maybe(TEXT), lambda override: override.cron or None),
            by=TEXT,
            reason=TEXT,
            since=TIME,
        ),
        "override",
    ),
    problem=field(maybe(TEXT), lambda summary: summary.problem or None),
)
_TICK = Fields(
    "Tick",
    id=ID,
    schedule=TEXT,
    tick_key=TEXT,
    due_at=TIME,
    outcome=one_of(Tick),
    detail=field(FREE, "short_detail"),
    created_at=TIME,
    decided_at=maybe(TIME),
)
_FACTS = record(
    run_profile_id=TEXT,
    at=TIME,
    namespace=TEXT,
    revision=maybe(WHOLE),
    state=maybe(one_of(ProfileState)),
    schedule=maybe(TEXT),
    cron=maybe(TEXT),
    time_zone=TEXT,
    tick=maybe(record(tick_key=TEXT, due_at=TIME, outcome=one_of(Tick), result=maybe(FREE))),
    stopped=maybe(
        record(kind=one_of(Stopped), what=TEXT, by=TEXT, since=TIME, reason=TEXT, until=maybe(TIME))
    ),
    active_cycle_run_id=maybe(ID),
    cycles=many(record(id=ID, status=one_of(Cycle), trigger=one_of(Trigger), created_at=TIME)),
)
_EXPLANATION = Fields(answer=field(TEXT, "sentence"), ran=TRUTH, facts=_FACTS)


class ScheduleList(Resource):
    @operation(
        summary="List schedules",
        query=pages.PARAMETERS,
        answers={200: page_of(_SCHEDULE)},
    )
    def get(self, request: Request) -> Response:
        """Each with its cron, its next five due times and its last tick."""
        now = clock.now()
        return pages.respond(
            request,
            listing.schedules(self.actor),
            lambda row: _SCHEDULE.of(listing.summarize(row, now)),
            query=self.query,
            newest_first=False,
        )


class TickList(Resource):
    @operation(
        summary="List ticks",
        query={**_TICK_FILTERS, **pages.PARAMETERS},
        answers={200: page_of(_TICK)},
    )
    def get(self, request: Request) -> Response:
        """The outcome of each due time, newest first."""
        ticks = listing.ticks(self.actor, **queries.filters(self.query, _TICK_FILTERS))
        return pages.respond(request, ticks, _TICK.of, query=self.query)


class ScheduleExplanation(Resource):
    @operation(
        summary="Explain why a run profile ran or didn't",
        query=_WHY,
        answers={200: _EXPLANATION},
        refusals=(RunProfileUnknown,),
    )
    def get(self, request: Request) -> Response:
        """One sentence about a moment, and the facts behind it."""
        name, moment = self.query["run_profile_id"], self.query["at"]
        return Response(_EXPLANATION.of(explain.explain(name, moment, actor=self.actor)))
