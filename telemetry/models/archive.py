"""Days of events, and the archive of those that were dropped."""

from django.db import models


class TelemetryDay(models.Model):
    """A day that is being archived or was dropped. Days without a row are stored."""

    class Phase(models.TextChoices):
        """How far its archive is. An event that comes later opens it again."""

        OPEN = "open"
        FILLING = "filling"
        COMPARING = "comparing"
        ARCHIVED = "archived"

    day = models.DateField(primary_key=True)
    archived_at = models.DateTimeField(null=True)
    dropped_at = models.DateTimeField(null=True)
    phase = models.CharField(
        max_length=10, choices=Phase.choices, default=Phase.OPEN, db_default=Phase.OPEN
    )
    # The last event that was archived or compared.
    position_at = models.DateTimeField(null=True)
    position_id = models.UUIDField(null=True)
    # Of the events that were compared: their number, and the sum of their lines' hashes.
    event_count = models.BigIntegerField(default=0, db_default=0)
    digest = models.DecimalField(max_digits=40, decimal_places=0, default=0, db_default=0)

    class Meta:
        ordering = ["-day"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(phase__in=["open", "filling", "comparing", "archived"]),
                name="telemetry_day_phase",
            ),
        ]

    def __str__(self) -> str:
        return str(self.day)


class TelemetryArchive(models.Model):
    """The events of a day and namespace as compressed JSON Lines, in chunks."""

    id = models.BigAutoField(primary_key=True)
    day = models.DateField()
    namespace = models.CharField(max_length=100, null=True)  # noqa: DJ001 - null: all
    event_count = models.BigIntegerField()
    # Of the JSON Lines before compression; empty until they were read back.
    sha256 = models.CharField(max_length=64)
    # Bytes, compressed.
    size = models.BigIntegerField()
    # The sum of the lines' hashes, which the database computes in any order.
    digest = models.DecimalField(max_digits=40, decimal_places=0, default=0, db_default=0)
    created_at = models.DateTimeField()
    verified_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-day", "namespace"]
        constraints = [
            models.UniqueConstraint(
                fields=["day", "namespace"],
                name="one_archive_per_day_and_namespace",
                nulls_distinct=False,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.namespace or '-'}"


class ArchiveChunk(models.Model):
    """A piece of an archive's bytes, so that no process holds it whole."""

    id = models.BigAutoField(primary_key=True)
    archive = models.ForeignKey(
        TelemetryArchive, on_delete=models.CASCADE, related_name="chunks", db_index=False
    )
    number = models.IntegerField()
    # A gzip member of its own: the chunks in their order are one gzip file.
    data = models.BinaryField()
    event_count = models.IntegerField()
    # Of its lines before compression.
    sha256 = models.CharField(max_length=64)

    class Meta:
        ordering = ["archive", "number"]
        constraints = [
            models.UniqueConstraint(fields=["archive", "number"], name="one_chunk_per_number"),
        ]

    def __str__(self) -> str:
        return f"{self.archive_id}#{self.number}"
