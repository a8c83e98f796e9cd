"""Signals: what the last computations say about each profile."""

from typing import Any

from django.contrib import admin
from django.db.models import F
from django.http import HttpRequest, HttpResponse

from advisory.admin import signal_page
from advisory.models import AdvisorySignal
from advisory.signals import in_words
from advisory.states import SignalKind
from governance.console import filters
from governance.console.base import PageAdmin, actor_of


@admin.register(AdvisorySignal)
class AdvisorySignalAdmin(PageAdmin):
    """What the computations say, newest first."""

    namespace_path = "namespace"
    list_title = "Signals"
    own_pages = {"compute/": "compute_view"}
    badges = ("signal",)
    list_display = (
        "profile_id",
        "namespace_name",
        "signal_badge",
        "confidence_shown",
        "window_to",
        "created_at",
    )
    list_filter = (filters.choice("signal", SignalKind), filters.typed("profile_id"))
    search_fields = ("profile_id",)
    search_help_text = "The id of a profile"

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changes = super().get_changelist_instance(request)
        rows = changes.result_list.annotate(cycles=F("evidence__window__ended"))
        changes.result_list = rows.defer("evidence", "method", "recommendation")
        return changes

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        return {"may_compute": signal_page.may_compute(actor_of(request))}

    def page(self, request: HttpRequest, row: AdvisorySignal) -> HttpResponse:
        return signal_page.page(request, row)

    def compute_view(self, request: HttpRequest) -> HttpResponse:
        """Compute signals."""
        return signal_page.compute_signals(request)

    @admin.display(description="namespace")
    def namespace_name(self, signal: AdvisorySignal) -> str:
        return signal.namespace or "-"

    @admin.display(description="confidence")
    def confidence_shown(self, signal: AdvisorySignal) -> str:
        return in_words.confidence_from(signal, getattr(signal, "cycles", None))
