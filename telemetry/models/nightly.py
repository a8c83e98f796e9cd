"""The nightly work, in the main database."""

from django.db import models


class NightlyRun(models.Model):
    """The operation run that did the work ``job`` for ``day``: one, however many clusters run."""

    id = models.BigAutoField(primary_key=True)
    job = models.CharField(max_length=60)
    day = models.DateField()
    operation_run_id = models.UUIDField()

    class Meta:
        ordering = ["-day", "job"]
        constraints = [
            models.UniqueConstraint(fields=["job", "day"], name="one_nightly_run_per_day"),
        ]

    def __str__(self) -> str:
        return f"{self.job} {self.day}"
