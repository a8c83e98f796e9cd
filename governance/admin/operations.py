"""Operation runs with their progress, outcome and items, Cancel; periodic work."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string

from governance import display
from governance.access.actors import Actor
from governance.console import export, filters
from governance.console.actions import ReasonedAdmin, reasoned_action
from governance.console.base import ReadOnlyAdmin, actor_of, shows_list
from governance.models import OperationRun, OperationRunItem
from governance.operations import cancel, ledger, periodic_listing
from governance.operations import page as reading
from governance.states import OPERATION_ACTIVE, ItemOutcome, Operation, Outcome


@admin.register(OperationRun)
class OperationRunAdmin(ReasonedAdmin):
    """Bulk operations and other background work."""

    namespace_path, narrow_path = "scope", "namespace__name"
    exported = export.columns(OperationRun)
    list_title = "Operations"
    list_display = ("type", "state", "how_far", "note", "created_at", "initiator", "id")
    list_display_links = ("type", "id")
    list_filter = (
        filters.choice("status", Operation),
        filters.choice("outcome", Outcome),
    )
    search_fields = ("id",)
    links = ("type", "type__exact", "initiator__exact")
    change_list_template = "console/operations.html"
    change_form_template = "console/operation.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        visible = OperationRun.objects.filter(ledger.visible(actor_of(request)))
        # Runs that were one too many are folded: the list's head leads to them.
        if shows_list(request) and not {"outcome", "q"} & request.GET.keys():
            visible = visible.exclude(outcome=Outcome.SKIPPED)
        return visible.select_related("namespace").order_by("-id")

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        return {"periodic": periodic_listing.read(actor_of(request))}

    def object_context(self, request: HttpRequest, obj: OperationRun) -> dict[str, Any]:
        return {"page": reading.read(obj)}

    @admin.display(description="outcome")
    def state(self, run: OperationRun) -> str:
        return display.badge(run.outcome or run.status)

    @admin.display(description="progress")
    def how_far(self, run: OperationRun) -> str:
        return render_to_string("console/_progress.html", {"progress": run.progress})

    @admin.display(description="note")
    def note(self, run: OperationRun) -> str:
        return str(run.progress.get("note", "-"))

    @reasoned_action(
        label="Cancel",
        explains="The run ends at once. Processed items stay processed; the others aren't touched.",
        when=lambda run: run.status in OPERATION_ACTIVE,
    )
    def cancel(self, actor: Actor, run: OperationRun, reason: str) -> str:
        cancel.cancel(run.pk, actor=actor, reason=reason)
        return f"Operation run {run.pk} cancelled."


@admin.register(OperationRunItem)
class OperationRunItemAdmin(ReadOnlyAdmin):
    """The outcome of each object of an operation run."""

    namespace_path, narrow_path = "run__scope", "run__namespace__name"
    exported = ("object_id", "outcome", "detail", "run_id")
    list_display = ("object_id", "state", "detail", "run")
    list_select_related = ("run",)
    list_filter = (filters.choice("outcome", ItemOutcome),)
    search_fields = ("object_id",)
    ordering = ("-run_id", "-object_id")
    links = ("run", "run__id__exact")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        visible = ledger.visible(actor_of(request), of="run__")
        return OperationRunItem.objects.filter(visible).order_by(*self.ordering)

    @admin.display(description="outcome")
    def state(self, item: OperationRunItem) -> str:
        return display.badge(item.outcome or "not_reached")
