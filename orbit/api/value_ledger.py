"""``/value-ledger``: usage and value of cycles, in entries and totals."""

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from governance.rest import pages, queries
from governance.rest.fields import Fields, each, field, page_of
from governance.rest.resources import OneForm, Resource, operation
from governance.rest.schemas import TEXT, TIME, TRUTH, WHOLE, maybe, one_of
from governance.rest.schemas import UUID as ID
from orbit.models import ValueLedgerEntry
from orbit.records import value_totals
from orbit.records.value_totals import Period, RangeInvalid, Totals

_FILTERS: dict[str, queries.Reader] = {
    "namespace": queries.text,
    "kind": queries.text,
    "tag": queries.text,
    "profile_id": queries.text,
    "run_profile_id": queries.text,
    "cycle_run_id": queries.identifier.on("cycle_id"),
    "from": queries.moment.on("created_at__gte"),
    "to": queries.moment.on("created_at__lt"),
}
_RANGE: dict[str, queries.Reader] = {
    "period": queries.one_of(Period),
    "from": queries.moment.on("since"),
    "to": queries.moment.on("until"),
    "namespace": queries.text,
    "tag": queries.text,
}
_KIND = one_of(("usage", "value"))
_QUANTITY = field(
    {
        "type": "string",
        "pattern": r"^-?[0-9]+(\.[0-9]+)?$",
        "description": "a decimal number, as text because it is exact",
    },
    lambda row: value_totals.plain(row.quantity),
)
ENTRY = Fields(
    "ValueEntry",
    id=field(ID, "pk"),
    cycle_run_id=field(ID, "cycle_id"),
    namespace=TEXT,
    profile_id=maybe(TEXT),
    run_profile_id=maybe(TEXT),
    kind=_KIND,
    tag=TEXT,
    quantity=_QUANTITY,
    unit=TEXT,
    created_at=TIME,
)
_TOTAL = Fields(
    begins={"type": "string", "format": "date"},
    kind=_KIND,
    tag=TEXT,
    unit=TEXT,
    quantity=_QUANTITY,
    cycles=WHOLE,
)
_TOTALS = Fields(
    "ValueTotals",
    period=one_of(Period),
    **{"from": field(TIME, "since"), "to": field(TIME, "until")},
    results=each(_TOTAL, "rows"),
    more=TRUTH,
)
_CSV = {"type": "string", "contentMediaType": "text/csv"}


class ValueEntryList(Resource):
    @operation(
        summary="List value entries",
        query={**_FILTERS, **pages.PARAMETERS},
        answers={200: page_of(ENTRY)},
    )
    def get(self, request: Request) -> Response:
        """Newest first."""
        entries = ValueLedgerEntry.objects.filter(
            self.actor.filter(), **queries.filters(self.query, _FILTERS)
        )
        return pages.respond(request, entries, ENTRY.of, query=self.query, actor=self.actor)


class ValueTotals(Resource):
    @operation(
        summary="Get value totals",
        query=_RANGE,
        answers={200: _TOTALS},
        refusals=(RangeInvalid,),
    )
    def get(self, request: Request) -> Response:
        """By tag and period, the latest first. The default period is a day."""
        return Response(_TOTALS.of(_totals(self)))


class ValueTotalsFile(Resource):
    content_negotiation_class = OneForm

    @operation(
        summary="Download value totals",
        query=_RANGE,
        answers={200: _CSV},
        refusals=(RangeInvalid,),
    )
    def get(self, request: Request) -> HttpResponse:
        """As CSV. Text that a spreadsheet would take for a formula gets an apostrophe."""
        totals = _totals(self)
        headers = {"Content-Disposition": f'attachment; filename="value-by-{totals.period}.csv"'}
        return HttpResponse(
            value_totals.as_csv(totals.rows),
            content_type="text/csv; charset=utf-8",
            headers=headers,
        )


def _totals(resource: Resource) -> Totals:
    chosen = {"period": Period.DAY, **queries.filters(resource.query, _RANGE)}
    return value_totals.totals(
        actor=resource.actor, **{**chosen, "period": Period(chosen["period"])}
    )
