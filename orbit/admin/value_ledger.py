"""The value ledger: totals per tag and period above its entries."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from governance.console import filters
from governance.console.base import ReadOnlyAdmin, actor_of
from orbit.models import ValueLedgerEntry
from orbit.records import value_totals
from orbit.records.value_totals import Period

_SHOWN = 50


class PeriodFilter(SimpleListFilter):
    """What the totals are made of; the entries below them stay the same."""

    title, parameter_name = "totals by", "period"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the periods."""
        return [(str(period), str(period)) for period in Period]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Leave the list as it is."""
        return queryset


@admin.register(ValueLedgerEntry)
class ValueLedgerEntryAdmin(ReadOnlyAdmin):
    """What cycles were worth."""

    namespace_path = "namespace"
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
        filters.NamespaceFilter,
        filters.choice("kind", ("usage", "value")),
    )
    search_fields = ("id", "cycle_id")
    links = ("cycle_id", "cycle_id__exact", "tag", "tag__exact")
    change_list_template = "console/ledger.html"

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the totals of the latest time above the entries, of the namespace and tag that the list is narrowed to."""
        sent = request.GET.get("period", "")
        period = Period(sent) if sent in set(Period) else Period.DAY
        namespace, tag = (
            request.GET.get("namespace") or None,
            request.GET.get("tag__exact") or request.GET.get("tag") or None,
        )
        found = (
            value_totals.totals(
                actor=actor_of(request), period=period, namespace=namespace, tag=tag
            )
            if self.has_view_permission(request)
            else None
        )
        narrow = {
            name: value
            for name, value in (("period", str(period)), ("namespace", namespace), ("tag", tag))
            if value
        }
        shown = {
            "totals": found,
            "shown": found.rows[:_SHOWN] if found else [],
            "csv": urlencode(narrow),
        }
        return super().changelist_view(request, {**shown, **(extra_context or {})})
