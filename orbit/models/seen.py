"""Who looks after what: a failed cycle, a group of dead letters."""

from django.db import models
from django.db.models.functions import Now

from orbit.states import SeenKind


class SeenMark(models.Model):
    """A user said that they have seen this. The last one to say so counts."""

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=10)
    #: The id of a cycle, or the key of a group.
    key = models.CharField(max_length=40)
    by = models.CharField(max_length=200)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "key"], name="one_seen_mark_per_object"),
            models.CheckConstraint(
                condition=models.Q(kind__in=list(SeenKind)), name="seen_mark_kind"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}: seen by {self.by}"
