"""Deliveries: jobs and their attempts."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path

from governance.access.roles import Scope
from governance.console import display, export, filters, pages
from governance.console.base import NotHere, ReadOnlyAdmin, actor_of
from orbit.dispatch import delivery
from orbit.dispatch.delivery import JobUnknown
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
    exported = ("cycle__namespace", *export.columns(DispatchJob))
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

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self._payload)
        address = path("<uuid:object_id>/payload/", view, name="orbit_dispatchjob_payload")
        return [address, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        actor = actor_of(request)
        if not self.has_view_permission(request):
            raise Http404
        try:
            page = delivery.read(self.opts.pk.to_python(object_id), actor=actor)
        except JobUnknown as error:
            raise NotHere(error.detail) from None
        except ValidationError:
            self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        return pages.draw(
            request,
            "console/delivery.html",
            title=f"Delivery {page.job.pk}",
            page=page,
            may_operate=actor.may(Scope.OPERATE),
            sees_endpoints=actor.namespaces is None,
        )

    def _payload(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        try:
            body = delivery.body(object_id, actor=actor_of(request))
        except JobUnknown as error:
            raise NotHere(error.detail) from None
        # Never shown by a browser: it may be a hostile page.
        response = HttpResponse(body, content_type="application/octet-stream")
        response["Content-Disposition"] = f'attachment; filename="{object_id}.bin"'
        return response


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
