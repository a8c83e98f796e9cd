"""The results of stages: initiations, transformations, normalization."""

from django.db import models
from django.db.models.functions import Now

from orbit.models.cycle import CycleRun
from orbit.states import TIER


class Initiation(models.Model):
    """A context, identified by its hash; later cycles reuse it."""

    id = models.UUIDField(primary_key=True, editable=False)
    initiation_hash = models.CharField(max_length=64, unique=True)
    namespace = models.CharField(max_length=100)
    profile_id = models.CharField(max_length=100, null=True)  # noqa: DJ001 - raw: none
    run_profile_id = models.CharField(max_length=100, null=True)  # noqa: DJ001 - raw: none
    instruction_id = models.CharField(max_length=64, null=True)  # noqa: DJ001 - raw: none
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.initiation_hash


class Transformation(models.Model):
    """One tier of a cycle."""

    id = models.UUIDField(primary_key=True, editable=False)
    cycle = models.ForeignKey(
        CycleRun, on_delete=models.PROTECT, related_name="transformations", db_index=False
    )
    initiation = models.ForeignKey(
        Initiation, on_delete=models.PROTECT, related_name="transformations", db_index=False
    )
    tier = models.PositiveSmallIntegerField()
    transformer = models.CharField(max_length=100)
    status = models.CharField(max_length=10)
    attempts = models.PositiveSmallIntegerField()
    next_attempt_at = models.DateTimeField(null=True)
    output = models.BinaryField(null=True)
    # Its output is the cycle's input, byte for byte, and is kept there.
    output_is_input = models.BooleanField(default=False, db_default=False)
    output_content_type = models.CharField(max_length=200, default="", db_default="")
    output_sha256 = models.CharField(max_length=64, default="", db_default="")
    error = models.TextField(default="", db_default="")
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # The tier of an earlier cycle whose output this one reuses.
    taken_from = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        db_column="taken_from",
        null=True,
        related_name="taken",
        db_index=False,
    )

    class Meta:
        ordering = ["cycle", "tier"]
        constraints = [
            models.UniqueConstraint(fields=["cycle", "tier"], name="one_transformation_per_tier"),
            models.CheckConstraint(
                condition=models.Q(tier__in=[1, 2, 3]), name="transformation_tier"
            ),
            TIER.check("transformation_status"),
            models.CheckConstraint(
                condition=models.Q(output__isnull=False)
                | models.Q(taken_from__isnull=False)
                | models.Q(output_is_input=True)
                | ~models.Q(status="success"),
                name="transformation_success_has_its_output",
            ),
        ]
        indexes = [
            # For the foreign key's check, when retention deletes initiations.
            models.Index(fields=["initiation"], name="transformation_initiation"),
            models.Index(
                fields=["taken_from"],
                condition=models.Q(taken_from__isnull=False),
                name="transformation_taken",
            ),
            models.Index(
                fields=["status", "-id"],
                condition=models.Q(status__in=["pending", "failed"]),
                name="transformation_notable",
            ),
        ]

    def __str__(self) -> str:
        return f"tier {self.tier}: {self.status}"


class NormalizationBatch(models.Model):
    """The successful tiers of a cycle, normalized together."""

    id = models.UUIDField(primary_key=True, editable=False)
    cycle = models.OneToOneField(CycleRun, on_delete=models.PROTECT, related_name="batch")
    processor = models.CharField(max_length=100)
    item_count = models.PositiveSmallIntegerField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "normalization batches"

    def __str__(self) -> str:
        return str(self.id)


class NormalizationItem(models.Model):
    """What is delivered, byte for byte."""

    id = models.UUIDField(primary_key=True, editable=False)
    batch = models.ForeignKey(
        NormalizationBatch, on_delete=models.PROTECT, related_name="items", db_index=False
    )
    transformation = models.OneToOneField(
        Transformation, on_delete=models.PROTECT, related_name="item"
    )
    payload = models.BinaryField()
    content_type = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["sha256"], name="item_sha256"),
            # For the foreign key's check, when retention deletes batches.
            models.Index(fields=["batch"], name="item_batch"),
        ]

    def __str__(self) -> str:
        return str(self.id)
