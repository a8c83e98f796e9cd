"""Results of the stages: initiations, transformations, batches, items."""

from django.contrib import admin
from django.utils.safestring import SafeString

from governance import display
from governance.console import filters
from governance.console.base import ReadOnlyAdmin
from orbit.cycles import excerpts
from orbit.models import Initiation, NormalizationBatch, NormalizationItem, Transformation
from orbit.states import Tier


@admin.register(Initiation)
class InitiationAdmin(ReadOnlyAdmin):
    """Contexts that cycles started from, each once."""

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
    badges = ("status",)
    list_display = (
        "id",
        "cycle_id",
        "tier",
        "status_badge",
        "transformer",
        "attempts",
        "error",
        "finished_at",
    )
    list_filter = (filters.choice("status", Tier),)
    ordering = ("-id",)
    search_fields = ("id",)
    links = ("cycle", "cycle__id__exact")
    readonly_fields = ("output_excerpt",)

    @admin.display(description="output")
    def output_excerpt(self, row: Transformation) -> SafeString:
        return display.block(excerpts.excerpt(row, "output"))


@admin.register(NormalizationBatch)
class NormalizationBatchAdmin(ReadOnlyAdmin):
    """Successful tiers that were normalized together."""

    namespace_path = "cycle__namespace"
    list_display = ("id", "cycle_id", "processor", "item_count", "created_at")
    search_fields = ("id", "cycle")


@admin.register(NormalizationItem)
class NormalizationItemAdmin(ReadOnlyAdmin):
    """Payloads, byte for byte as they are delivered."""

    namespace_path = "batch__cycle__namespace"
    list_display = ("id", "transformation_id", "content_type", "sha256", "created_at")
    search_fields = ("id", "sha256", "transformation")
    readonly_fields = ("payload_excerpt",)

    @admin.display(description="payload")
    def payload_excerpt(self, row: NormalizationItem) -> SafeString:
        return display.block(excerpts.excerpt(row, "payload"))
