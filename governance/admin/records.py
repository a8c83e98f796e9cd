"""Tables to look at: audit head, stored responses, request counts."""

from django.contrib import admin

from governance.access.roles import Scope
from governance.console.base import ReadOnlyAdmin
from governance.models import AuditHead, IdempotentRequest, RequestCount


@admin.register(AuditHead)
class AuditHeadAdmin(ReadOnlyAdmin):
    """The head of the chain."""

    list_display = ("sequence", "hash")


@admin.register(IdempotentRequest)
class IdempotentRequestAdmin(ReadOnlyAdmin):
    """Responses stored for an Idempotency-Key."""

    list_display = ("route", "owner", "status", "created_at")
    list_select_related = ("owner",)
    ordering = ("-created_at",)
    hidden = ("key",)


@admin.register(RequestCount)
class RequestCountAdmin(ReadOnlyAdmin):
    """Requests of each caller in their last minute."""

    view_scope = Scope.ADMINISTER
    list_display = ("caller", "minute", "requests")
    search_fields = ("caller",)
    ordering = ("caller",)
