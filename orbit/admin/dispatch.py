"""Deliveries: jobs, attempts, endpoints' snapshots."""

from typing import Any

from django.contrib import admin
from django.utils import timezone

from governance.console import display, filters
from governance.console.base import ReadOnlyAdmin
from orbit.models import DeliveryReceipt, DispatchJob, EndpointSnapshot, EndpointState
from orbit.states import Attempt, Job


class _Stateful(ReadOnlyAdmin):
    @admin.display(description="status")
    def status_shown(self, row: Any) -> str:
        """The status as a badge."""
        return display.badge(row.status)


@admin.register(DispatchJob)
class DispatchJobAdmin(_Stateful):
    """One item to one endpoint each."""

    namespace_path = "cycle__namespace"
    list_display = (
        "id",
        "status_shown",
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
class DeliveryReceiptAdmin(_Stateful):
    """One request on the wire each."""

    namespace_path = "job__cycle__namespace"
    list_display = (
        "id",
        "job_id",
        "attempt",
        "status_shown",
        "status_code",
        "error_class",
        "latency_ms",
        "started_at",
    )
    list_filter = (filters.choice("status", Attempt),)
    search_fields = ("id",)
    links = ("job", "job__id__exact")


@admin.register(EndpointState)
class EndpointStateAdmin(ReadOnlyAdmin):
    """What all processes know of each receiver: its caps, and whether it is down."""

    list_display = (
        "endpoint_key",
        "host",
        "circuit",
        "failures",
        "last_error",
        "opened_at",
        "probe_at",
        "hold_until",
        "max_concurrency",
        "rate_per_second",
    )

    @admin.display(description="circuit")
    def circuit(self, row: EndpointState) -> str:
        """Open while the receiver is down, held while it asked for a pause, else closed."""
        return display.badge(
            "open"
            if row.opened_at
            else "held"
            if row.hold_until and row.hold_until > timezone.now()
            else "closed"
        )


@admin.register(EndpointSnapshot)
class EndpointSnapshotAdmin(ReadOnlyAdmin):
    """Endpoints as jobs hold them: sealed, only the host is in clear."""

    list_display = ("endpoint_key", "host", "created_at")
    hidden = ("fingerprint",)
