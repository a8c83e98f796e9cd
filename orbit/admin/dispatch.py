"""Deliveries: jobs and their attempts."""

from typing import Any

from django.contrib import admin

from governance.console import display, filters
from governance.console.base import ReadOnlyAdmin
from orbit.models import DeliveryReceipt, DispatchJob
from orbit.states import Attempt, Job


class _StatusAdmin(ReadOnlyAdmin):
    @admin.display(description="status")
    def status_badge(self, row: Any) -> str:
        return display.badge(row.status)


@admin.register(DispatchJob)
class DispatchJobAdmin(_StatusAdmin):
    """Jobs: one item for one endpoint each."""

    namespace_path = "cycle__namespace"
    exported = (
        "id",
        "status",
        "cycle__namespace",
        "cycle_id",
        "endpoint_key",
        "delivery_id",
        "attempts",
        "next_attempt_at",
        "last_error",
        "requeue_of",
        "created_at",
        "finished_at",
    )
    list_display = (
        "id",
        "status_badge",
        "endpoint_key",
        "cycle_id",
        "attempts",
        "next_attempt_at",
        "last_error",
        "created_at",
    )
    list_filter = (filters.choice("status", Job),)
    search_fields = ("id", "delivery_id")
    links = ("cycle", "cycle__id__exact")


@admin.register(DeliveryReceipt)
class DeliveryReceiptAdmin(_StatusAdmin):
    """Delivery attempts: one request each."""

    namespace_path = "job__cycle__namespace"
    list_display = (
        "id",
        "job_id",
        "attempt",
        "status_badge",
        "status_code",
        "error_class",
        "latency_ms",
        "started_at",
    )
    list_filter = (filters.choice("status", Attempt),)
    search_fields = ("id",)
    links = ("job", "job__id__exact")
