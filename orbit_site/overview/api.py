"""``/overview``: what needs a user, and the numbers, as the console's dashboard shows them."""

from rest_framework.request import Request
from rest_framework.response import Response

from governance.rest import queries
from governance.rest.resources import Resource, operation
from governance.rest.schemas import NUMBER, TEXT, TIME, TRUTH, WHOLE, many, maybe, one_of, record
from orbit_site.overview import summary

_QUERY: dict[str, queries.Reader] = {"namespace": queries.text}
_THING = record(
    "Thing",
    kind=TEXT,
    state=one_of(["bad", "part", "wait"]),
    text=TEXT,
    count=WHOLE,
    since=maybe(TIME),
    link=TEXT,
)
_NUMBERS = record(
    "OverviewNumbers",
    active_cycles=WHOLE,
    queued_cycles=WHOLE,
    dead_letters=WHOLE,
    dead_letter_groups=WHOLE,
    approvals_waiting=WHOLE,
    operations_running=WHOLE,
    delivered_24_hours=WHOLE,
    dead_24_hours=WHOLE,
    run_profiles=WHOLE,
    run_profiles_delivered=WHOLE,
    clusters=WHOLE,
    workers=WHOLE,
    queue_depth=WHOLE,
    queue_age_seconds=NUMBER,
)
_OVERVIEW = record(
    "Overview",
    sentence=TEXT,
    all_well=TRUTH,
    lead=TEXT,
    things=many(_THING),
    numbers=_NUMBERS,
    as_of=TIME,
)


class OverviewDetail(Resource):
    """``/overview``."""

    @operation(summary="Get the overview", query=_QUERY, answers={200: _OVERVIEW})
    def get(self, request: Request) -> Response:
        """What needs you, and the numbers; at most two seconds old. Counts stop at 10,001.

        A confined caller sees its namespaces only. `link` is a page of the console.
        """
        overview = summary.of(self.actor, namespace=self.query.get("namespace", ""))
        return Response(overview.to_dict())
