"""The read model of tasks."""

from django.db import models


class TaskProjection(models.Model):
    """A task as its events tell it. Read-only: a trigger refuses writes of everyone but Orbit's
    consumer and its reconciliation. No decision may be made from it.
    """

    task_id = models.CharField(max_length=200, primary_key=True)
    namespace = models.CharField(max_length=100, null=True)  # noqa: DJ001 - null: all
    title = models.TextField(null=True)  # noqa: DJ001 - null: none
    status = models.CharField(max_length=20)
    last_status_ts = models.DateTimeField()
    priority = models.BigIntegerField(null=True)
    tags_json = models.JSONField(default=list, db_default=[])
    last_event_ts = models.DateTimeField()
    updated_utc = models.DateTimeField()
    # Of equal times, the higher rank and then the higher event counts, in whatever order they come.
    status_rank = models.SmallIntegerField(default=0, db_default=0)
    status_event_id = models.UUIDField(null=True)
    # The task_start that title, priority and tags are from.
    start_ts = models.DateTimeField(null=True)
    start_event_id = models.UUIDField(null=True)
    # When reconciliation found that the authority doesn't know the task, so that it counts it once.
    # The status is ``orphaned`` until the next status event; this stays.
    orphaned_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-last_event_ts", "-task_id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    status__in=[
                        "pending",
                        "running",
                        "succeeded",
                        "failed",
                        "cancelled",
                        "orphaned",
                    ]
                ),
                name="task_projection_status",
            ),
        ]
        indexes = [
            models.Index(fields=["-last_event_ts", "-task_id"], name="task_projection_newest"),
            models.Index(
                fields=["status", "-last_event_ts", "-task_id"], name="task_projection_by_status"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task_id} {self.status}"
