"""Tables to look at: audit head, stored responses, request counts, stops."""

from django.contrib import admin

from governance.access.roles import Scope
from governance.console import filters
from governance.console.base import ReadOnlyAdmin
from governance.models import (
    AuditHead,
    GovernanceSetting,
    IdempotentRequest,
    RequestCount,
    Stop,
)
from governance.states import Mode, Stopped


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


@admin.register(GovernanceSetting)
class GovernanceSettingAdmin(ReadOnlyAdmin):
    """The stop in force in each namespace."""

    namespace_path = "namespace__name"
    badges = ("mode",)
    list_display = ("namespace", "mode_badge", "reason", "changed_by", "since", "until")
    list_select_related = ("namespace",)
    list_filter = (filters.choice("mode", Mode),)
    ordering = ("namespace__name",)


@admin.register(Stop)
class StopAdmin(ReadOnlyAdmin):
    """Halts, drains and pauses, active and past."""

    namespace_path = "namespace__name"
    list_display = (
        "id",
        "kind",
        "namespace",
        "reason",
        "started_by",
        "since",
        "until",
        "quiet_at",
        "ended_at",
        "ended_by",
    )
    list_select_related = ("namespace",)
    list_filter = (filters.choice("kind", Stopped),)
