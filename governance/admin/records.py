"""Namespaces, their settings, the audit trail, kept answers: to be looked at."""

from typing import Any

from django.contrib import admin

from governance.access.roles import Power
from governance.console import display, filters
from governance.console.base import ReadOnlyAdmin
from governance.models import AuditHead, AuditTrailEntry, GovernanceSetting, IdempotentRequest, Namespace, RequestCount
from governance.states import Mode


@admin.register(Namespace)
class NamespaceAdmin(ReadOnlyAdmin):
    """The tenants."""

    namespace_path = "name"
    list_display = ("name", "external_id", "created_at")
    search_fields = ("name", "external_id")


@admin.register(GovernanceSetting)
class GovernanceSettingAdmin(ReadOnlyAdmin):
    """May work go on there?"""

    namespace_path = "namespace__name"
    list_display = ("namespace", "mode_shown", "reason", "changed_by", "since", "until")
    list_select_related = ("namespace",)
    list_filter = (filters.choice("mode", Mode),)
    ordering = ("namespace__name",)

    @admin.display(description="mode")
    def mode_shown(self, obj: Any) -> str:
        """The mode as a badge."""
        return display.badge(obj.mode)


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


@admin.register(RequestCount)
class RequestCountAdmin(ReadOnlyAdmin):
    """How many requests each caller sent in their last minute; a token by its fingerprint."""

    power_to_see = Power.ADMINISTER
    list_display = ("caller", "minute", "requests")
    search_fields = ("caller",)
    ordering = ("caller",)
