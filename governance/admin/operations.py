"""Operation runs with their progress, outcome and items, Cancel; periodic work."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from governance.access.roles import Scope
from governance.console import display, filters
from governance.console.actions import ReasonedAdmin, reasoned_action
from governance.console.base import ReadOnlyAdmin, actor_of
from governance.models import OperationRun, OperationRunItem
from governance.operations import cancel, ledger, periodic_listing
from governance.states import OPERATION_ACTIVE, ItemOutcome, Operation, Outcome


@admin.register(OperationRun)
class OperationRunAdmin(ReasonedAdmin):
    """Bulk operations and other background work."""

    namespace_path, narrow_path = "scope", "namespace__name"
    exported = (
        "id",
        "type",
        "scope",
        "status",
        "outcome",
        "summary_counts",
        "initiator",
        "reason",
        "created_at",
        "started_at",
        "finished_at",
        "next_due_at",
    )
    list_display = (
        "type",
        "state_shown",
        "how_far",
        "note",
        "created_at",
        "finished_at",
        "initiator",
        "id",
    )
    list_display_links = ("type", "id")
    list_filter = (filters.choice("status", Operation), filters.choice("outcome", Outcome))
    search_fields = ("id",)
    links = ("type", "type__exact")
    readonly_fields = ("how_far", "items_link")
    change_list_template = "console/operations.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return (
            OperationRun.objects.filter(ledger.visible(actor_of(request)))
            .select_related("namespace")
            .order_by("-id")
        )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        periodic = [
            {"work": work, "progress": self.how_far(work.last_run) if work.last_run else ""}
            for work in periodic_listing.read(actor_of(request))
        ]
        return super().changelist_view(
            request, {"title": "Operations", "periodic": periodic, **(extra_context or {})}
        )

    @admin.display(description="outcome")
    def state_shown(self, run: OperationRun) -> str:
        return display.badge(run.outcome or run.status)

    @admin.display(description="progress")
    def how_far(self, run: OperationRun) -> SafeString:
        total, processed = int(run.progress.get("total", 0)), int(run.progress.get("processed", 0))
        if not total:
            return display.badge(None)
        return format_html(
            '<progress max="{}" value="{}" aria-label="progress"></progress> {} of {}',
            total,
            processed,
            f"{processed:,}",
            f"{total:,}",
        )

    @admin.display(description="note")
    def note(self, run: OperationRun) -> str:
        return str(run.progress.get("note", "-"))

    @admin.display(description="items")
    def items_link(self, run: OperationRun) -> SafeString:
        return format_html(
            '<a href="{}?run__id__exact={}">items with their outcomes</a>',
            reverse("admin:governance_operationrunitem_changelist"),
            run.pk,
        )

    @reasoned_action(
        label="Cancel",
        scope=Scope.OPERATE,
        explains="The run ends at once. Processed items stay processed; the others aren't touched.",
        when=lambda run: run.status in OPERATION_ACTIVE,
    )
    def cancel(self, request: HttpRequest, run: OperationRun, reason: str) -> str:
        cancel.cancel(run.pk, actor=actor_of(request), reason=reason)
        return f"Operation run {run.pk} cancelled."


@admin.register(OperationRunItem)
class OperationRunItemAdmin(ReadOnlyAdmin):
    """The outcome of each object of an operation run."""

    namespace_path, narrow_path = "run__scope", "run__namespace__name"
    list_display = ("object_id", "outcome_shown", "detail", "run")
    list_select_related = ("run",)
    list_filter = (filters.choice("outcome", ItemOutcome),)
    search_fields = ("object_id",)
    ordering = ("-run_id", "-object_id")
    links = ("run", "run__id__exact")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # As `ledger.visible`, seen from the item.
        actor = actor_of(request)
        visible = (
            Q()
            if actor.namespaces is None
            else Q(run__scope__contained_by=sorted(actor.namespaces))
        )
        return (
            OperationRunItem.objects.filter(visible)
            .select_related("run")
            .order_by("-run_id", "-object_id")
        )

    @admin.display(description="outcome")
    def outcome_shown(self, item: OperationRunItem) -> str:
        return display.badge(item.outcome or "not_reached")
