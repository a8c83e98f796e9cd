"""The audit trail: search, an entry with its neighbours, verify, download."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.loader import render_to_string

from governance.audit import export as audit_export
from governance.audit import head, neighbours, search, verify
from governance.audit.actions import Action
from governance.audit.verify import Position, PositionInvalid
from governance.console import export, filters
from governance.console.base import PageAdmin, actor_of, draw
from governance.kernel import json_diff
from governance.models import AuditTrailEntry

VERIFY_SECONDS = 3.0
_TYPED = ("actor", "action", "object_type", "object_id", "request_id")


@admin.register(AuditTrailEntry)
class AuditTrailEntryAdmin(PageAdmin):
    """Who did what, when and why."""

    namespace_path = "namespace"
    exported = export.columns(AuditTrailEntry)
    list_title = "Audit trail"
    list_display = ("id", "at", "actor", "action", "object", "namespace", "reason")
    list_filter = (
        *(filters.typed(field) for field in _TYPED),
        filters.moment("from", lambda rows, moment: search.between(rows, moment, None)),
        filters.moment("to", lambda rows, moment: search.between(rows, None, moment)),
    )
    search_fields = ("id", "hash")
    links = ("object_type__exact", "object_id__exact")
    change_list_template = "console/audit.html"
    own_pages = {"verify": "verify/", "export": "export/"}
    page_template = "console/audit_entry.html"

    @admin.display(description="object")
    def object(self, entry: AuditTrailEntry) -> str:
        return render_to_string("console/_audit_object.html", {"entry": entry})

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        return {
            "actions": list(Action),
            "sees_workspace": actor_of(request).namespaces is None,
        }

    def title_of(self, row: AuditTrailEntry) -> str:
        return f"Entry {row.pk}: {row.action}"

    def page(self, request: HttpRequest, row: AuditTrailEntry) -> HttpResponse:
        # An entry of something new or gone has one side only: list its members one by one.
        before, after = (({} if side is None else side) for side in (row.before, row.after))
        changes = json_diff.changes(before, after)
        return self.draw(request, row, entry=row, changes=changes, neighbours=neighbours.of(row))

    def verify_view(self, request: HttpRequest) -> HttpResponse:
        """Verify for some seconds; show the result, or go on."""
        # The chain runs through all namespaces.
        if not self.has_view_permission(request) or actor_of(request).namespaces is not None:
            raise PermissionDenied
        try:
            start = Position.from_cursor(request.GET.get("cursor"))
        except PositionInvalid:
            raise BadRequest("The cursor can't be read") from None
        check = verify.check(start, seconds=VERIFY_SECONDS)
        end = head.current().to_dict() if check.intact else None
        return draw(request, "console/verify.html", title="Verify the chain", check=check, head=end)

    def export_view(self, request: HttpRequest) -> StreamingHttpResponse:
        """Stream the entries that the list shows as JSON Lines."""
        rows = export.listed(self, request)
        lines = audit_export.lines(
            rows, with_head=actor_of(request).namespaces is None, limit=audit_export.MAX_DOWNLOAD
        )
        return export.stream(lines, name="audit-trail.jsonl", content_type="application/jsonl")
