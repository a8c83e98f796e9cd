"""Days that were archived or dropped, and their archives."""

from django.contrib import admin

from governance.access.actors import Actor
from governance.console.actions import ReasonedAdmin, reasoned_action
from governance.console.base import ReadOnlyAdmin
from telemetry.models import TelemetryArchive, TelemetryDay
from telemetry.retention import by_hand


@admin.register(TelemetryArchive)
class TelemetryArchiveAdmin(ReasonedAdmin):
    """Archived events of a day and namespace."""

    namespace_path = "namespace"
    list_display = (
        "day",
        "namespace",
        "event_count",
        "size",
        "sha256",
        "created_at",
        "verified_at",
    )
    search_fields = ("day",)
    search_help_text = "A day of UTC, such as 2026-01-31"
    links = ("day__exact",)

    @reasoned_action(
        label="Verify",
        explains="The archive is read back: its number of events, sizes and SHA-256. Reading stops "
        f"after {by_hand.SECONDS:g} seconds; for more, run manage.py telemetry archive verify DAY.",
        when=lambda archive: archive.verified_at is not None,
        together="verify_all",
    )
    def verify(self, actor: Actor, archive: TelemetryArchive, reason: str) -> str:
        return self.verify_all(actor, [archive], reason)

    def verify_all(self, actor: Actor, archives: list[TelemetryArchive], reason: str) -> str:
        return by_hand.verify(archives, actor=actor, reason=reason)


@admin.register(TelemetryDay)
class TelemetryDayAdmin(ReadOnlyAdmin):
    """Days whose events were archived or dropped. All others are stored."""

    list_display = ("day", "archived_at", "dropped_at")
    search_fields = ("day",)
