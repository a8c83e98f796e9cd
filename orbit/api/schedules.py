"""``/schedules``: what is due when, the ledger of ticks, and why something did or didn't run."""

from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from governance.rest import pages, queries
from governance.rest.resources import Resource
from governance.rest.schemas import (
    FREE,
    TEXT,
    TIME,
    TRUTH,
    WHOLE,
    many,
    maybe,
    one_of,
    page,
    record,
)
from governance.rest.schemas import UUID as ID
from governance.states import Stopped
from orbit.errors import RunProfileUnknown
from orbit.models import CronTick
from orbit.schedules import explain, listing
from orbit.schedules.listing import ScheduleSummary
from orbit.states import Cycle, ProfileState, Tick, Trigger

_TICKS: dict[str, queries.Reader] = {
    "schedule": queries.text,
    "outcome": queries.one_of(Tick),
    "from": queries.moment,
    "to": queries.moment,
}
_FIELDS = {"from": "due_from", "to": "due_to"}
_WHY: dict[str, queries.Reader] = {
    "run_profile_id": queries.needed(queries.text),
    "at": queries.needed(queries.moment),
}
_SCHEDULE = record(
    "Schedule",
    name=TEXT,
    cron=maybe(TEXT),
    configured_cron=maybe(TEXT),
    time_zone=TEXT,
    in_words=TEXT,
    enabled=TRUTH,
    on_missed=maybe(one_of(["once", "skip"])),
    max_lateness=maybe(WHOLE),
    next_due_at=many(TIME),
    overdue_since=maybe(TIME),
    last_tick=maybe(record(id=ID, tick_key=TEXT, due_at=TIME, outcome=one_of(Tick))),
    changed=maybe(record(off=TRUTH, cron=maybe(TEXT), by=TEXT, reason=TEXT, since=TIME)),
    problem=maybe(TEXT),
)
_TICK = record(
    "Tick",
    id=ID,
    schedule=TEXT,
    tick_key=TEXT,
    due_at=TIME,
    outcome=one_of(Tick),
    detail=FREE,
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


class Collection(Resource):
    """All schedules, in pages."""

    parameters = {"GET": pages.PARAMETERS}
    answers = {"GET": {200: page(_SCHEDULE)}}

    def get(self, request: Request) -> Response:
        """Explanation each with its cron, its next five due times and its last tick."""
        now = timezone.now()
        return pages.respond(
            request,
            listing.schedules(self.actor),
            lambda row: _schedule(listing.summarize(row, now)),
            sent=self.sent,
            newest_first=False,
        )


class Ticks(Resource):
    """The ledger of ticks, in pages."""

    parameters = {"GET": {**_TICKS, **pages.PARAMETERS}}
    answers = {"GET": {200: page(_TICK)}}

    def get(self, request: Request) -> Response:
        """Explanation what became of each tick, newest first."""
        filters = {
            _FIELDS.get(name, name): value for name, value in self.sent.items() if name in _TICKS
        }
        return pages.respond(request, listing.ticks(self.actor, **filters), _tick, sent=self.sent)


class Why(Resource):
    """Why a run profile ran at a time, or didn't."""

    parameters = {"GET": _WHY}
    answers = {"GET": {200: record(answer=TEXT, ran=TRUTH, facts=_FACTS)}}
    refusals = {"GET": (RunProfileUnknown,)}

    def get(self, request: Request) -> Response:
        """Explanation one sentence, and the facts behind it."""
        answer = explain.explain(self.sent["run_profile_id"], self.sent["at"], actor=self.actor)
        return Response({"answer": answer.sentence, "ran": answer.ran, "facts": answer.facts})


def _schedule(summary: ScheduleSummary) -> dict[str, Any]:
    row, override = summary.row, summary.override
    changed = (
        None
        if override is None
        else {
            "off": override.off,
            "cron": override.cron or None,
            "by": override.by,
            "reason": override.reason,
            "since": override.since,
        }
    )
    return {
        "name": row.name,
        "cron": row.cron or None,
        "configured_cron": summary.configured_cron or None,
        "time_zone": summary.time_zone,
        "in_words": summary.words,
        "enabled": row.on,
        "on_missed": row.configured.on_missed if row.configured else None,
        "max_lateness": row.configured.max_lateness if row.configured else None,
        "next_due_at": list(summary.next_due_at),
        "overdue_since": summary.overdue_since,
        "last_tick": summary.last_tick,
        "changed": changed,
        "problem": summary.problem or None,
    }


def _tick(row: CronTick) -> dict[str, Any]:
    return {
        "id": row.pk,
        "schedule": row.schedule,
        "tick_key": row.tick_key,
        "due_at": row.due_at,
        "outcome": row.outcome,
        "detail": row.short_detail,  # type: ignore[attr-defined]
        "created_at": row.created_at,
        "decided_at": row.decided_at,
    }
