"""``/schedules``: what is due when, the ledger of ticks, and why something did or didn't run."""

from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from governance.rest import pages, queries
from governance.rest.queries import ParameterInvalid
from governance.rest.resources import Resource
from orbit.models import CronTick
from orbit.schedules import listing, why
from orbit.schedules.listing import Shown
from orbit.states import Tick

_TICKS: dict[str, queries.Reader] = {"schedule": queries.text, "outcome": queries.one_of(Tick), "from": queries.moment, "to": queries.moment}
_FIELDS = {"from": "due_from", "to": "due_to"}
_WHY: dict[str, queries.Reader] = {"run_profile_id": queries.text, "at": queries.moment}


class Collection(Resource):
    """All schedules, in pages."""

    def get(self, request: Request) -> Response:
        """Answer each with its cron, its next five due times and its last tick."""
        sent = queries.read(request, pages.PARAMETERS)
        now = timezone.now()
        return pages.respond(request, listing.schedules(self.actor), lambda row: _schedule(listing.show(row, now)), sent=sent, newest_first=False)


class Ticks(Resource):
    """The ledger of ticks, in pages."""

    def get(self, request: Request) -> Response:
        """Answer what became of each tick, newest first."""
        sent = queries.read(request, {**_TICKS, **pages.PARAMETERS})
        filters = {_FIELDS.get(name, name): value for name, value in sent.items() if name in _TICKS}
        return pages.respond(request, listing.ticks(self.actor, **filters), _tick, sent=sent)


class Why(Resource):
    """Why a run profile ran at a time, or didn't."""

    def get(self, request: Request) -> Response:
        """Answer one sentence, and the facts behind it."""
        sent = queries.read(request, _WHY)
        if missing := _WHY.keys() - sent.keys():
            raise ParameterInvalid(f"{' and '.join(sorted(missing))} must be given.")
        answer = why.explain(sent["run_profile_id"], sent["at"], actor=self.actor)
        return Response({"answer": answer.sentence, "ran": answer.ran, "facts": answer.facts})


def _schedule(shown: Shown) -> dict[str, Any]:
    row, person = shown.row, shown.person
    changed = None if person is None else {"off": person.off, "cron": person.cron or None, "by": person.by, "reason": person.reason, "since": person.since}
    return {
        "name": row.name,
        "cron": row.cron or None,
        "configured_cron": shown.configured or None,
        "time_zone": shown.time_zone,
        "in_words": shown.words,
        "enabled": row.on,
        "on_missed": row.asked.on_missed if row.asked else None,
        "max_lateness": row.asked.max_lateness if row.asked else None,
        "next_due_at": list(shown.next_due_at),
        "overdue_since": shown.overdue_since,
        "last_tick": shown.last_tick,
        "changed": changed,
        "problem": shown.broken or None,
    }


def _tick(row: CronTick) -> dict[str, Any]:
    return {
        "id": row.pk,
        "schedule": row.schedule,
        "tick_key": row.tick_key,
        "due_at": row.due_at,
        "outcome": row.outcome,
        "detail": row.said,  # type: ignore[attr-defined]
        "created_at": row.created_at,
        "decided_at": row.decided_at,
    }
