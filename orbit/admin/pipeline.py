"""What the stages left behind: initiations, transformations, batches, items."""

from typing import Any

from django.contrib import admin
from django.db.models import BinaryField, Model
from django.db.models.functions import Length, Substr
from django.utils.html import format_html
from django.utils.safestring import SafeString

from governance.console import display, filters
from governance.console.base import ReadOnlyAdmin
from orbit.cycles.detail import EXCERPT
from orbit.models import Initiation, NormalizationBatch, NormalizationItem, Transformation
from orbit.states import Tier


@admin.register(Initiation)
class InitiationAdmin(ReadOnlyAdmin):
    """Contexts, each initiated once."""

    namespace_path = "namespace"
    list_display = (
        "id",
        "initiation_hash",
        "namespace",
        "profile_id",
        "run_profile_id",
        "created_at",
    )
    search_fields = ("id", "initiation_hash")


@admin.register(Transformation)
class TransformationAdmin(ReadOnlyAdmin):
    """Tiers of cycles."""

    namespace_path = "cycle__namespace"
    list_display = (
        "id",
        "cycle_id",
        "tier",
        "status_shown",
        "transformer",
        "attempts",
        "error",
        "finished_at",
    )
    list_filter = (filters.choice("status", Tier),)
    ordering = ("-id",)
    search_fields = ("id",)
    links = ("cycle", "cycle__id__exact")
    readonly_fields = ("output_shown",)

    @admin.display(description="status")
    def status_shown(self, row: Transformation) -> str:
        """The status as a badge."""
        return display.badge(row.status)

    @admin.display(description="output")
    def output_shown(self, row: Transformation) -> SafeString:
        """The first bytes of the output."""
        return _payload(row, "output")


@admin.register(NormalizationBatch)
class NormalizationBatchAdmin(ReadOnlyAdmin):
    """Successful tiers, normalized together."""

    namespace_path = "cycle__namespace"
    list_display = ("id", "cycle_id", "processor", "item_count", "created_at")
    search_fields = ("id", "cycle")


@admin.register(NormalizationItem)
class NormalizationItemAdmin(ReadOnlyAdmin):
    """What is delivered, byte for byte."""

    namespace_path = "batch__cycle__namespace"
    list_display = ("id", "transformation_id", "content_type", "sha256", "created_at")
    search_fields = ("id", "sha256", "transformation")
    readonly_fields = ("payload_shown",)

    @admin.display(description="payload")
    def payload_shown(self, row: NormalizationItem) -> SafeString:
        """The first bytes of the payload."""
        return _payload(row, "payload")


def _payload(row: Model, column: str) -> SafeString:
    found: Any = (
        type(row)._default_manager.filter(pk=row.pk)
        .values_list(Length(column), Substr(column, 1, EXCERPT, output_field=BinaryField()))
        .first()
    )  # fmt: skip
    if found is None or found[0] is None:
        return display.badge(None)
    size, data = found
    return format_html(
        '<pre class="data" tabindex="0">{}</pre>', display.readable(bytes(data), size=size)
    )
