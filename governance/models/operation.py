"""Operation runs, their items, and the work that is started periodically."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from governance.models.namespace import Namespace
from governance.states import OPERATION, OPERATION_ACTIVE, Every, ItemOutcome, Outcome

_ACTIVE = models.Q(status__in=[str(state) for state in OPERATION_ACTIVE])


class OperationRun(models.Model):
    """Background work of a namespace or the workspace; one is active per identity."""

    id = models.UUIDField(primary_key=True, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, null=True, related_name="+")
    # The namespaces that it touches (null: all). Only users who see all of them see the run.
    scope = ArrayField(models.CharField(max_length=100), null=True)
    type = models.CharField(max_length=60)
    identity_hash = models.CharField(max_length=64)
    status = models.CharField(max_length=10)
    outcome = models.CharField(max_length=20, null=True)  # noqa: DJ001 - null until it is completed
    summary_counts = models.JSONField(default=dict, db_default={})
    progress = models.JSONField(default=dict, db_default={})
    # The input, without secrets and payloads.
    context = models.JSONField(default=dict, db_default={})
    initiator = models.CharField(max_length=200)
    reason = models.TextField(default="", db_default="")
    faults = models.PositiveSmallIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    next_due_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    cancel_requested_by = models.CharField(max_length=200, default="", db_default="")

    class Meta:
        ordering = ["-id"]
        constraints = [
            OPERATION.check("operation_status"),
            models.CheckConstraint(
                condition=models.Q(outcome__isnull=True)
                | models.Q(outcome__in=[str(outcome) for outcome in Outcome]),
                name="operation_outcome",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    status="completed",
                    outcome__isnull=False,
                    finished_at__isnull=False,
                    next_due_at__isnull=True,
                )
                | (
                    ~models.Q(status="completed")
                    & models.Q(outcome__isnull=True, finished_at__isnull=True)
                ),
                name="operation_outcome_at_its_end",
            ),
            models.CheckConstraint(
                condition=models.Q(scope__isnull=True) | ~models.Q(scope=[]),
                name="operation_scope_names_some",
            ),
            models.CheckConstraint(
                condition=models.Q(namespace__isnull=True) | models.Q(scope__isnull=False),
                name="operation_of_a_namespace_is_in_it",
            ),
            models.UniqueConstraint(
                fields=["namespace", "type", "identity_hash"],
                condition=_ACTIVE & models.Q(namespace__isnull=False),
                name="one_active_run_in_a_namespace",
            ),
            models.UniqueConstraint(
                fields=["type", "identity_hash"],
                condition=_ACTIVE & models.Q(namespace__isnull=True),
                name="one_active_run_in_the_workspace",
            ),
        ]
        indexes = [
            models.Index(fields=["next_due_at"], condition=_ACTIVE, name="operation_due"),
            models.Index(fields=["type", "-id"], name="operation_type"),
            models.Index(fields=["initiator", "-id"], name="operation_initiator"),
            # Few runs have a scope, and few don't succeed: partial indexes stay small.
            models.Index(
                fields=["-id"], condition=models.Q(scope__isnull=False), name="operation_scoped"
            ),
            models.Index(
                fields=["outcome", "-id"],
                condition=models.Q(
                    outcome__in=["partially_succeeded", "failed", "skipped", "cancelled"]
                ),
                name="operation_notable",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class OperationRunItem(models.Model):
    """An object of a run; open until it has an outcome."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(
        OperationRun, on_delete=models.CASCADE, related_name="items", db_index=False
    )
    object_id = models.UUIDField()
    outcome = models.CharField(max_length=10, null=True)  # noqa: DJ001 - null is not reached
    detail = models.CharField(max_length=300, default="", db_default="")

    class Meta:
        ordering = ["run", "object_id"]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "object_id"], name="one_item_per_run_and_object"
            ),
            models.CheckConstraint(
                condition=models.Q(outcome__isnull=True)
                | models.Q(outcome__in=[str(outcome) for outcome in ItemOutcome]),
                name="operation_item_outcome",
            ),
        ]
        indexes = [
            models.Index(
                fields=["run", "object_id"],
                condition=models.Q(outcome__isnull=True),
                name="operation_item_open",
            ),
            models.Index(
                fields=["outcome", "-run", "-object_id"],
                condition=models.Q(outcome__in=["failed", "skipped"]),
                name="operation_item_notable",
            ),
        ]

    def __str__(self) -> str:
        return str(self.object_id)


class PeriodicWork(models.Model):
    """A type of operation runs that Orbit starts by itself, and when the next one is due."""

    type = models.CharField(primary_key=True, max_length=60)
    every = models.CharField(max_length=6)
    next_due_at = models.DateTimeField()
    # The last run that was due. Retention keeps it.
    last_run = models.ForeignKey(
        OperationRun, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )

    class Meta:
        ordering = ["type"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(every__in=[str(every) for every in Every]),
                name="periodic_work_every",
            ),
        ]

    def __str__(self) -> str:
        return self.type
