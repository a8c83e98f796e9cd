"""The audit trail and kept answers: to be looked at."""

from django.contrib import admin

from governance.console import filters
from governance.console.base import ReadOnlyAdmin
from governance.models import AuditHead, AuditTrailEntry, IdempotentRequest


@admin.register(AuditTrailEntry)
class AuditTrailEntryAdmin(ReadOnlyAdmin):
    """Who did what, when, why."""

    namespace_path = "namespace"
    list_display = ("id", "at", "actor", "action", "object_type", "object_id", "namespace", "reason")
    list_filter = (filters.NamespaceFilter,)
    search_fields = ("id", "hash")
    links = ("object_type", "object_id", "object_type__exact", "object_id__exact")


@admin.register(AuditHead)
class AuditHeadAdmin(ReadOnlyAdmin):
    """The end of the chain."""

    list_display = ("sequence", "hash")


@admin.register(IdempotentRequest)
class IdempotentRequestAdmin(ReadOnlyAdmin):
    """Answers kept for an Idempotency-Key."""

    list_display = ("route", "owner", "status", "created_at")
    list_select_related = ("owner",)
    ordering = ("-created_at",)
    hidden = ("key",)
