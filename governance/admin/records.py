"""The end of the audit trail and kept answers: to be looked at."""

from django.contrib import admin

from governance.access.roles import Scope
from governance.console.base import ReadOnlyAdmin
from governance.models import AuditHead, IdempotentRequest, RequestCount


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


@admin.register(RequestCount)
class RequestCountAdmin(ReadOnlyAdmin):
    """How many requests each caller sent in their last minute; a token by its fingerprint."""

    view_scope = Scope.ADMINISTER
    list_display = ("caller", "minute", "requests")
    search_fields = ("caller",)
    ordering = ("caller",)
