"""Signals: what the last computations say about each profile."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from advisory.autonomy import computing
from advisory.models import AdvisorySignal
from advisory.proposals import reading
from advisory.signals import compute, in_words
from advisory.states import SignalKind
from governance.console import filters
from governance.console.base import PageAdmin, actor_of

_LISTED = 10


@admin.register(AdvisorySignal)
class AdvisorySignalAdmin(PageAdmin):
    """What the computations say, newest first."""

    namespace_path = "namespace"
    list_title = "Signals"
    own_pages = {"compute": "compute/"}
    page_template = "admin/advisory/signal.html"
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

    def listed(self, request: HttpRequest, rows: Any) -> Any:
        cycles = F("evidence__window__ended")
        return rows.annotate(cycles=cycles).defer("evidence", "method", "recommendation")

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        return {"may_compute": actor_of(request).may(*compute.SCOPES)}

    def title_of(self, row: AdvisorySignal) -> str:
        return f"{row.profile_id}: {row.signal.replace('_', ' ')}"

    def page(self, request: HttpRequest, row: AdvisorySignal) -> HttpResponse:
        actor = actor_of(request)
        proposals = reading.visible(actor).filter(signal=row).order_by("-created_at", "-id")
        return self.draw(
            request,
            row,
            signal=row,
            proposals=list(proposals.only("id", "title", "state")[:_LISTED]),
            may_compute=actor.may(*compute.SCOPES),
            **in_words.parts(row, actor=actor),
        )

    def compute_view(self, request: HttpRequest) -> HttpResponse:
        """Compute the signals of all profiles, or of ``profile_id``; lead to the list."""
        actor = actor_of(request)
        actor.require(*compute.SCOPES)

        if request.method == "POST":
            profile_id = request.POST.get("profile_id", "").strip() or None
            computed = computing.compute_and_act(actor=actor, profile_id=profile_id)
            messages.success(request, in_words.computed(computed.computation.signals))
        return redirect("admin:advisory_advisorysignal_changelist")

    @admin.display(description="namespace")
    def namespace_name(self, signal: AdvisorySignal) -> str:
        return signal.namespace or "-"

    @admin.display(description="confidence")
    def confidence_shown(self, signal: AdvisorySignal) -> str:
        return in_words.confidence_from(signal, getattr(signal, "cycles", None))
