"""What is on record: execution records, checkpoints, ticks, clusters."""

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest

from governance.console import display, filters
from governance.console.base import ReadOnlyAdmin, actor_of
from orbit.models import ClusterNode, CronTick, CycleCheckpoint, CycleRun, ExecutionRecord
from orbit.schedules import listing
from orbit.states import Tick


@admin.register(ExecutionRecord)
class ExecutionRecordAdmin(ReadOnlyAdmin):
    """What happened, line by line."""

    namespace_path = "namespace"
    list_display = (
        "created_at",
        "cycle_id",
        "stage",
        "event",
        "level_shown",
        "namespace",
        "message",
    )
    list_filter = (
        filters.NamespaceFilter,
        filters.choice("level", ("debug", "info", "warning", "error")),
    )
    search_fields = ("partition_key",)
    search_help_text = "The id of a cycle"
    # The order of the key, newest cycle first: one that follows created_at would sort every partition.
    ordering = ("-partition_key", "-id")
    links = ("partition_key", "partition_key__exact")

    @admin.display(description="level")
    def level_shown(self, row: ExecutionRecord) -> str:
        """The level as a badge."""
        return display.badge(row.level)


@admin.register(CycleCheckpoint)
class CycleCheckpointAdmin(ReadOnlyAdmin):
    """Stages that are done."""

    namespace_path = "cycle_id"
    list_display = ("cycle_id", "stage", "fencing_token", "created_at")
    search_fields = ("cycle_id",)
    ordering = ("-cycle_id", "-stage")
    links = ("cycle_id", "cycle_id__exact")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the checkpoints of the cycles that the person sees."""
        actor = actor_of(request)
        rows = CycleCheckpoint.objects.order_by("-cycle_id", "-stage")
        return (
            rows
            if actor.namespaces is None
            else rows.filter(
                Exists(CycleRun.objects.filter(actor.filter(), pk=OuterRef("cycle_id")))
            )
        )


@admin.register(CronTick)
class CronTickAdmin(ReadOnlyAdmin):
    """Due ticks and what became of each."""

    namespace_path = "schedule"
    list_display = ("due_at", "schedule", "tick_key", "outcome_shown", "why", "decided_at")
    list_filter = (filters.choice("outcome", Tick),)
    search_fields = ("schedule",)
    search_help_text = "The name of a schedule"
    ordering = ("-id",)
    links = ("schedule__exact",)

    @admin.display(description="outcome")
    def outcome_shown(self, tick: CronTick) -> str:
        """The outcome as a badge."""
        return display.badge(tick.outcome)

    @admin.display(description="why")
    def why(self, tick: CronTick) -> str:
        """What the ledger says of it, in short."""
        said = tick.short_detail  # type: ignore[attr-defined]
        return str(
            said.get("detail", "")
            or ", ".join(f"{number} {name}" for name, number in said.get("outcomes", {}).items())
        )[:300]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the ticks of the schedules that the person sees."""
        return listing.ticks(actor_of(request))


@admin.register(ClusterNode)
class ClusterNodeAdmin(ReadOnlyAdmin):
    """Clusters that show signs of life, or did within the day."""

    list_display = (
        "host",
        "pid",
        "release",
        "workers",
        "paused",
        "draining",
        "started_at",
        "seen_at",
    )
