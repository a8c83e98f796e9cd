"""``/value-ledger``: what cycles were worth, entry by entry and added up."""

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from governance.rest import pages, queries
from governance.rest.resources import OneForm, Resource
from governance.rest.schemas import TEXT, TIME, TRUTH, WHOLE, many, maybe, one_of, page, record
from governance.rest.schemas import UUID as ID
from orbit.models import ValueLedgerEntry
from orbit.records import value_totals
from orbit.records.value_totals import Period, RangeInvalid, Totals

_FILTERS: dict[str, tuple[str, queries.Reader]] = {
    "namespace": ("namespace", queries.text),
    "kind": ("kind", queries.text),
    "tag": ("tag", queries.text),
    "profile_id": ("profile_id", queries.text),
    "run_profile_id": ("run_profile_id", queries.text),
    "cycle_run_id": ("cycle_id", queries.identifier),
    "from": ("created_at__gte", queries.moment),
    "to": ("created_at__lt", queries.moment),
}
_TOTALS: dict[str, queries.Reader] = {
    "period": queries.one_of(Period), "from": queries.moment, "to": queries.moment, "namespace": queries.text, "tag": queries.text}  # fmt: skip
_QUANTITY = {
    "type": "string",
    "pattern": r"^-?[0-9]+(\.[0-9]+)?$",
    "description": "a decimal number, as text: it is exact",
}
ENTRY = record(
    "ValueEntry",
    id=ID,
    cycle_run_id=ID,
    namespace=TEXT,
    profile_id=maybe(TEXT),
    run_profile_id=maybe(TEXT),
    kind=one_of(("usage", "value")),
    tag=TEXT,
    quantity=_QUANTITY,
    unit=TEXT,
    created_at=TIME,
)
_TOTAL = record(
    begins={"type": "string", "format": "date"},
    kind=ENTRY["properties"]["kind"],
    tag=TEXT,
    unit=TEXT,
    quantity=_QUANTITY,
    cycles=WHOLE,
)
_SUMS = record(
    "ValueTotals",
    **{"period": one_of(Period), "from": TIME, "to": TIME, "results": many(_TOTAL), "more": TRUTH},
)
_CSV = {"type": "string", "contentMediaType": "text/csv"}


class Entries(Resource):
    """The entries, in pages."""

    parameters = {
        "GET": {**{name: reader for name, (_, reader) in _FILTERS.items()}, **pages.PARAMETERS}
    }
    answers = {"GET": {200: page(ENTRY)}}

    def get(self, request: Request) -> Response:
        """Answer ``{results, next, previous}``, newest first."""
        wanted = {_FILTERS[name][0]: value for name, value in self.sent.items() if name in _FILTERS}
        return pages.respond(
            request,
            ValueLedgerEntry.objects.filter(self.actor.filter(), **wanted),
            _entry,
            sent=self.sent,
        )


class Sums(Resource):
    """Totals per tag and period."""

    parameters = {"GET": _TOTALS}
    answers = {"GET": {200: _SUMS}}
    refusals = {"GET": (RangeInvalid,)}

    def get(self, request: Request) -> Response:
        """Answer the totals of a range, the latest period first; by day where no period is named."""
        found = _totals(self)
        rows = [{"begins": row.begins, "kind": row.kind, "tag": row.tag, "unit": row.unit, "quantity": value_totals.plain(row.quantity), "cycles": row.cycles}
                for row in found.rows]  # fmt: skip
        return Response(
            {
                "period": found.period,
                "from": found.since,
                "to": found.until,
                "results": rows,
                "more": found.more,
            }
        )


class SumsFile(Resource):
    """The same as a file."""

    content_negotiation_class = OneForm
    parameters = {"GET": _TOTALS}
    answers = {"GET": {200: _CSV}}
    refusals = {"GET": (RangeInvalid,)}

    def get(self, request: Request) -> HttpResponse:
        """Answer CSV; text that a spreadsheet would run as a formula begins with an apostrophe."""
        found = _totals(self)
        headers = {"Content-Disposition": f'attachment; filename="value-by-{found.period}.csv"'}
        return HttpResponse(
            value_totals.as_csv(found.rows), content_type="text/csv; charset=utf-8", headers=headers
        )


def _totals(resource: Resource) -> Totals:
    sent = resource.sent
    return value_totals.totals(actor=resource.actor, period=Period(sent.get("period", Period.DAY)), since=sent.get("from"), until=sent.get("to"),
                               namespace=sent.get("namespace"), tag=sent.get("tag"))  # fmt: skip


def _entry(row: ValueLedgerEntry) -> dict[str, Any]:
    return {
        "id": row.pk,
        "cycle_run_id": row.cycle_id,
        "namespace": row.namespace,
        "profile_id": row.profile_id,
        "run_profile_id": row.run_profile_id,
        "kind": row.kind,
        "tag": row.tag,
        "quantity": value_totals.plain(row.quantity),
        "unit": row.unit,
        "created_at": row.created_at,
    }
