"""The value ledger: its entries, with totals by tag and period above them."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from governance.console import export, filters
from governance.console.base import ReadOnlyAdmin, actor_of
from orbit.models import ValueLedgerEntry
from orbit.records import value_totals
from orbit.records.value_totals import Period


class PeriodFilter(filters.Filter):
    """Choose the period of the totals. It doesn't filter the entries."""

    title, parameter_name = "totals by", "period"
    offered = [(str(period), str(period)) for period in Period]

    def narrow(self, request: HttpRequest, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        return rows


@admin.register(ValueLedgerEntry)
class ValueLedgerEntryAdmin(ReadOnlyAdmin):
    """Usage and value of cycles."""

    namespace_path = "namespace"
    exported = export.columns(ValueLedgerEntry)
    list_display = (
        "created_at",
        "cycle_id",
        "namespace",
        "run_profile_id",
        "kind",
        "tag",
        "quantity",
        "unit",
    )
    list_filter = (
        PeriodFilter,
        filters.choice("kind", ("usage", "value")),
    )
    search_fields = ("id", "cycle_id")
    links = ("cycle_id", "cycle_id__exact", "tag", "tag__exact")
    change_list_template = "console/ledger.html"

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        if not self.has_view_permission(request):
            return {}
        return {"totals": value_totals.of_list(request.GET.dict(), actor=actor_of(request))}
