"""The audit trail: searched, an entry with what it changed and its place in the chain, verified, downloaded."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from governance.audit import export, links, search, verify
from governance.audit.verify import Position, PositionInvalid
from governance.console import changes, filters
from governance.console.base import ReadOnlyAdmin, actor_of
from governance.models import AuditTrailEntry

_VERIFY_SECONDS = 5.0
_TYPED = ("actor", "action", "object_type", "object_id", "request_id")


@admin.register(AuditTrailEntry)
class AuditTrailEntryAdmin(ReadOnlyAdmin):
    """Who did what, when, why."""

    namespace_path = "namespace"
    list_display = (
        "id",
        "at",
        "actor",
        "action",
        "object_type",
        "object_id",
        "namespace",
        "reason",
    )
    list_filter = (
        filters.NamespaceFilter,
        *(filters.typed(field) for field in _TYPED),
        filters.moment("from", lambda rows, moment: search.between(rows, moment, None)),
        filters.moment("to", lambda rows, moment: search.between(rows, None, moment)),
    )
    search_fields = ("id", "hash")
    links = ("object_type__exact", "object_id__exact")
    change_list_template = "console/audit.html"
    change_form_template = "console/audit_entry.html"

    def get_urls(self) -> list[URLPattern]:
        """Add the walk and the download."""
        return [
            path(
                "verify/",
                self.admin_site.admin_view(self.verify_view),
                name="governance_audittrailentry_verify",
            ),
            path(
                "export/",
                self.admin_site.admin_view(self.export_view),
                name="governance_audittrailentry_export",
            ),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """List what the form asks for."""
        asked = {name: request.GET.get(name, "") for name in ("q", *_TYPED, "from", "to")}
        shown = {
            "asked": asked,
            "query": request.GET.urlencode(),
            "whole": actor_of(request).namespaces is None,
            "namespace": request.GET.get("namespace", ""),
        }
        return super().changelist_view(request, {**shown, **(extra_context or {})})

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show one entry: what it changed, and whether it is what was written."""
        entry = self.get_object(request, object_id)
        shown = (
            {}
            if entry is None
            else {
                "changes": changes.between(entry.before, entry.after),
                "place": links.of(entry),
                "most": changes.MOST,
            }
        )
        return super().change_view(request, object_id, form_url, {**shown, **(extra_context or {})})

    def verify_view(self, request: HttpRequest) -> HttpResponse:
        """Walk the chain for some seconds, and say what was found."""
        if not self.has_view_permission(request) or actor_of(request).namespaces is not None:
            raise PermissionDenied
        try:
            found = verify.judge(Position.of(request.GET.get("cursor")), seconds=_VERIFY_SECONDS)
        except PositionInvalid:
            raise BadRequest("The cursor can't be read") from None
        context = {
            **self.admin_site.each_context(request),
            "title": "Verify the chain",
            "opts": self.opts,
            "found": found,
        }
        return TemplateResponse(request, "console/verify.html", context)

    def export_view(self, request: HttpRequest) -> StreamingHttpResponse:
        """Download what the list's form asks for as JSON Lines, while it is read."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            rows = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            raise BadRequest("The search can't be read") from None
        lines = export.lines(
            rows, whole=actor_of(request).namespaces is None, most=export.MOST_IN_A_DOWNLOAD
        )
        answer = StreamingHttpResponse(lines, content_type="application/jsonl; charset=utf-8")
        answer["Content-Disposition"] = 'attachment; filename="audit-trail.jsonl"'
        answer["Cache-Control"] = "no-store"
        return answer
