"""Filters of the console's lists that users keep under a name."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class SavedFilter(models.Model):
    """A list with its filter. ``shared``: users who see ``namespace`` have it too."""

    id = models.UUIDField(primary_key=True, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_filters"
    )
    name = models.CharField(max_length=80)
    #: The list's address below ``/admin/``, such as "orbit/cyclerun/".
    address = models.CharField(max_length=100)
    query = models.CharField(max_length=1000)
    #: The namespace that the query names; empty: none.
    namespace = models.CharField(max_length=100, blank=True)
    shared = models.BooleanField()
    #: The ids of the users who have it on their dashboard.
    pinned_by = ArrayField(models.BigIntegerField(), db_default=[])
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "address", "name"], name="one_saved_filter_per_name"
            ),
        ]
        indexes = [
            models.Index(
                fields=["address"], condition=models.Q(shared=True), name="saved_filter_shared"
            ),
        ]

    def __str__(self) -> str:
        return self.name
