"""Deliveries: jobs and their attempts."""

from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from governance.console import export, filters
from governance.console.base import PageAdmin, ReadOnlyAdmin, actor_of
from orbit.dispatch import delivery
from orbit.dispatch.delivery import DeliveryPage
from orbit.models import DeliveryReceipt, DispatchJob
from orbit.states import Attempt, Job


@admin.register(DispatchJob)
class DispatchJobAdmin(PageAdmin):
    """Jobs: one item for one endpoint each."""

    namespace_path = "cycle__namespace"
    exported = ("cycle__namespace", *export.columns(DispatchJob))
    badges = ("status",)
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
    own_pages = {"payload": "<uuid:object_id>/payload/"}
    page_template = "console/delivery.html"

    def read(self, request: HttpRequest, object_id: str) -> DeliveryPage:
        return delivery.read(self.key(object_id), actor=actor_of(request))

    def page(self, request: HttpRequest, row: DeliveryPage) -> HttpResponse:
        title, sees_endpoints = f"Delivery {row.job.pk}", actor_of(request).namespaces is None
        return self.draw(request, row.job, title=title, page=row, sees_endpoints=sees_endpoints)

    def payload_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """Send the body of a delivery."""
        body = delivery.body(object_id, actor=actor_of(request))
        # Never shown by a browser: it may be a hostile page.
        response = HttpResponse(body, content_type="application/octet-stream")
        response["Content-Disposition"] = f'attachment; filename="{object_id}.bin"'
        return response


@admin.register(DeliveryReceipt)
class DeliveryReceiptAdmin(ReadOnlyAdmin):
    """Delivery attempts: one request each."""

    namespace_path = "job__cycle__namespace"
    badges = ("status",)
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
