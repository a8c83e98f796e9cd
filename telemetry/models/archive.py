"""Days of events, and the archive of those that were dropped."""

from django.db import models


class TelemetryDay(models.Model):
    """A day that was archived or dropped. Days without a row are stored."""

    day = models.DateField(primary_key=True)
    archived_at = models.DateTimeField(null=True)
    dropped_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-day"]

    def __str__(self) -> str:
        return str(self.day)


class TelemetryArchive(models.Model):
    """The events of a day and namespace as compressed JSON Lines, in chunks."""

    id = models.BigAutoField(primary_key=True)
    day = models.DateField()
    namespace = models.CharField(max_length=100, null=True)  # noqa: DJ001 - null: all
    event_count = models.BigIntegerField()
    # Of the JSON Lines before compression.
    sha256 = models.CharField(max_length=64)
    # Bytes, compressed.
    size = models.BigIntegerField()
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
    data = models.BinaryField()

    class Meta:
        ordering = ["archive", "number"]
        constraints = [
            models.UniqueConstraint(fields=["archive", "number"], name="one_chunk_per_number"),
        ]

    def __str__(self) -> str:
        return f"{self.archive_id}#{self.number}"
