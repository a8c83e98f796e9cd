"""Execution records, checkpoints, ticks and clusters."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from governance.console import filters
from governance.console.base import ReadOnlyAdmin, narrowed
from orbit.cycles import detail
from orbit.models import ClusterNode, CronTick, CycleCheckpoint, ExecutionRecord
from orbit.records import execution
from orbit.schedules import listing
from orbit.states import Tick

_MAX_DETAIL = 300


@admin.register(ExecutionRecord)
class ExecutionRecordAdmin(ReadOnlyAdmin):
    """The log of cycles."""

    namespace_path = "namespace"
    badges = ("level",)
    list_display = (
        *("created_at", "cycle_id", "stage", "event"),
        *("level_badge", "namespace", "message"),
    )
    list_filter = (filters.choice("level", ("debug", "info", "warning", "error")),)
    search_fields = ("partition_key",)
    search_help_text = "The id of a cycle"
    # The key's own order, newest cycle first: ordering by created_at would sort every partition.
    ordering = ("-partition_key", "-id")
    links = ("partition_key", "partition_key__exact")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        if (at := request.resolver_match) and (record := at.kwargs.get("object_id")):
            # By its id alone, all records would be read.
            rows = rows.filter(partition_key__in=execution.keys_of(record))
        return rows


@admin.register(CycleCheckpoint)
class CycleCheckpointAdmin(ReadOnlyAdmin):
    """Finished steps of cycles."""

    namespace_path, narrow_path = "cycle_id", ""
    list_display = ("cycle_id", "stage", "fencing_token", "created_at")
    search_fields = ("cycle_id",)
    ordering = ("-cycle_id", "-stage")
    links = ("cycle_id", "cycle_id__exact")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return detail.checkpoints(narrowed(request))


@admin.register(CronTick)
class CronTickAdmin(ReadOnlyAdmin):
    """Due ticks, each with its outcome."""

    namespace_path, narrow_path = "schedule", ""
    badges = ("outcome",)
    list_display = ("due_at", "schedule", "tick_key", "outcome_badge", "why", "decided_at")
    list_filter = (filters.choice("outcome", Tick),)
    search_fields = ("schedule",)
    search_help_text = "The name of a schedule"
    ordering = ("-id",)
    links = ("schedule__exact",)

    @admin.display(description="why")
    def why(self, tick: CronTick) -> str:
        detail = tick.short_detail  # type: ignore[attr-defined] # annotated by listing.ticks
        outcomes = (f"{number} {name}" for name, number in detail.get("outcomes", {}).items())
        return str(detail.get("detail", "") or ", ".join(outcomes))[:_MAX_DETAIL]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return listing.ticks(narrowed(request))


@admin.register(ClusterNode)
class ClusterNodeAdmin(ReadOnlyAdmin):
    """Clusters with a heartbeat in the last day."""

    list_display = (
        *("host", "pid", "release", "workers"),
        *("paused", "draining", "started_at", "seen_at"),
    )
