"""Signals: what the last computations say about each profile."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path

from advisory.admin import signal_page
from advisory.models import AdvisorySignal
from advisory.states import SignalKind
from governance.console import display, filters
from governance.console.base import ReadOnlyAdmin, actor_of


@admin.register(AdvisorySignal)
class AdvisorySignalAdmin(ReadOnlyAdmin):
    """What the computations say, newest first."""

    namespace_path = "namespace"
    list_display = (
        "profile_id",
        "namespace_name",
        "signal_shown",
        "confidence_shown",
        "window_to",
        "created_at",
    )
    list_filter = (
        filters.choice("signal", SignalKind),
        filters.typed("profile_id"),
    )
    search_fields = ("profile_id",)
    search_help_text = "The id of a profile"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).order_by("-created_at", "-id")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changes = super().get_changelist_instance(request)
        changes.result_list = changes.result_list.defer("evidence", "method", "recommendation")
        return changes

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                "compute/",
                self.admin_site.admin_view(signal_page.compute_signals),
                name="advisory_advisorysignal_compute",
            ),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"title": "Signals", "may_compute": signal_page.may_compute(actor_of(request))}
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        signal = self.get_object(request, object_id) if self.has_view_permission(request) else None
        if signal is None:
            raise Http404
        return signal_page.page(request, signal)

    @admin.display(description="namespace")
    def namespace_name(self, signal: AdvisorySignal) -> str:
        return signal.namespace or "-"

    @admin.display(description="signal")
    def signal_shown(self, signal: AdvisorySignal) -> str:
        return display.badge(signal.signal)

    @admin.display(description="confidence")
    def confidence_shown(self, signal: AdvisorySignal) -> str:
        return signal_page.confidence(signal)
