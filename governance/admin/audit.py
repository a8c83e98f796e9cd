"""The audit trail: search, an entry with its neighbours, verify, download."""

from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from governance.audit import chain, export, search, verify
from governance.audit.actions import Action
from governance.audit.verify import BEGINNING, Position, PositionInvalid
from governance.console import filters
from governance.console.base import ReadOnlyAdmin, actor_of
from governance.kernel import json_diff
from governance.models import AuditTrailEntry

VERIFY_SECONDS = 5.0
_TYPED = ("actor", "action", "object_type", "object_id", "request_id")


@dataclass(frozen=True, slots=True)
class Neighbours:
    """An entry between its neighbours, and whether all three fit together."""

    before: str | None
    after: str | None
    unchanged: bool
    follows: bool
    followed: bool

    @property
    def fit(self) -> bool:
        """Whether these entries fit together. Only a walk checks the others."""
        return self.unchanged and self.follows and self.followed


@admin.register(AuditTrailEntry)
class AuditTrailEntryAdmin(ReadOnlyAdmin):
    """Who did what, when and why."""

    namespace_path = "namespace"
    exported = (
        "id",
        "at",
        "actor",
        "action",
        "object_type",
        "object_id",
        "namespace",
        "reason",
        "request_id",
        "before",
        "after",
        "hash",
        "previous_hash",
    )
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
        *(filters.typed(field) for field in _TYPED),
        filters.moment("from", lambda rows, moment: search.between(rows, moment, None)),
        filters.moment("to", lambda rows, moment: search.between(rows, None, moment)),
    )
    search_fields = ("id", "hash")
    links = ("object_type__exact", "object_id__exact")
    change_list_template = "console/audit.html"
    change_form_template = "console/audit_entry.html"

    def get_urls(self) -> list[URLPattern]:
        name = "governance_audittrailentry"
        site = self.admin_site
        return [
            path("verify/", site.admin_view(self.verify_view), name=f"{name}_verify"),
            path("export/", site.admin_view(self.export_view), name=f"{name}_export"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        typed = {name: request.GET.get(name, "") for name in ("q", *_TYPED, "from", "to")}
        context = {
            "typed": typed,
            "actions": list(Action),
            "query": request.GET.urlencode(),
            "sees_workspace": actor_of(request).namespaces is None,
            "namespace": request.GET.get("namespace", ""),
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        entry = self.get_object(request, object_id)
        context = {}
        if entry is not None:
            # An entry of something new or gone has one side only: list its members one by one.
            before, after = (({} if side is None else side) for side in (entry.before, entry.after))
            context = {
                "changes": json_diff.changes(before, after),
                "neighbours": neighbours(entry),
            }
        return super().change_view(
            request, object_id, form_url, {**context, **(extra_context or {})}
        )

    def verify_view(self, request: HttpRequest) -> HttpResponse:
        """Verify for some seconds; show the result or a way to continue."""
        # The chain runs through all namespaces.
        if not self.has_view_permission(request) or actor_of(request).namespaces is not None:
            raise PermissionDenied
        try:
            start = Position.from_cursor(request.GET.get("cursor"))
        except PositionInvalid:
            raise BadRequest("The cursor can't be read") from None
        context = {
            **self.admin_site.each_context(request),
            "title": "Verify the chain",
            "opts": self.opts,
            "check": verify.check(start, seconds=VERIFY_SECONDS),
        }
        return TemplateResponse(request, "console/verify.html", context)

    def export_view(self, request: HttpRequest) -> StreamingHttpResponse:
        """Stream the entries that the list shows as JSON Lines."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            rows = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            raise BadRequest("The search can't be read") from None
        lines = export.lines(
            rows, with_head=actor_of(request).namespaces is None, limit=export.MAX_DOWNLOAD
        )
        response = StreamingHttpResponse(lines, content_type="application/jsonl; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="audit-trail.jsonl"'
        response["Cache-Control"] = "no-store"
        return response


def neighbours(entry: AuditTrailEntry) -> Neighbours:
    """Return ``entry`` between its neighbours."""
    rows = AuditTrailEntry.objects.only("id", "hash", "previous_hash")
    adjacent = rows.in_bulk([entry.pk - 1, entry.pk + 1])
    before, after = adjacent.get(entry.pk - 1), adjacent.get(entry.pk + 1)
    expected = before.hash if before is not None else BEGINNING if entry.pk == 1 else None
    return Neighbours(
        before=None if before is None else before.hash,
        after=None if after is None else after.hash,
        unchanged=_recomputed_hash(entry) == entry.hash,
        follows=entry.previous_hash == expected,
        followed=after is None or after.previous_hash == entry.hash,
    )


def _recomputed_hash(entry: AuditTrailEntry) -> str | None:
    try:
        return chain.entry_hash(
            chain.draft_of(entry), number=entry.pk, at=entry.at, previous=entry.previous_hash
        )
    except ValueError:  # a number that we would have written as text
        return None
