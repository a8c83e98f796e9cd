"""How far retention has come."""

from django.db import models


class RetentionMark(models.Model):
    """Of a kind of rows, what finished until ``pruned_to`` is gone, or was exempt."""

    kind = models.CharField(max_length=20, primary_key=True)
    pruned_to = models.DateTimeField()
    pruned_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.kind}: {self.pruned_to}"
