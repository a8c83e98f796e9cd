"""Conductor runs, their tasks, and the counts by which parents and runs end."""

from django.db import models
from django.db.models.functions import Now

from orbit.states import CONDUCTOR_RUN, TASK, FailurePolicy

#: Ids are ULIDs. Sorted by bytes, they are in order of time.
_BY_BYTES = "C"


class _Counts(models.Model):
    """How many tasks are in each state, without the tallies that wait."""

    pending = models.IntegerField(default=0, db_default=0)
    running = models.IntegerField(default=0, db_default=0)
    # FAILED, but another attempt follows.
    retrying = models.IntegerField(default=0, db_default=0)
    succeeded = models.IntegerField(default=0, db_default=0)
    failed = models.IntegerField(default=0, db_default=0)
    cancelled = models.IntegerField(default=0, db_default=0)

    class Meta:
        abstract = True


class ConductorRun(_Counts):
    """Tasks that were handed in together. The counts are those of all its tasks."""

    id = models.CharField(primary_key=True, max_length=26, editable=False, db_collation=_BY_BYTES)
    name = models.CharField(max_length=200)
    namespace = models.CharField(max_length=100)
    state = models.CharField(max_length=10)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    # Retention has begun to delete its tasks: it can't run again.
    pruning_since = models.DateTimeField(null=True)
    # Roots that have not ended; the run ends with the last one.
    open_roots = models.IntegerField()
    failed_roots = models.IntegerField(default=0, db_default=0)
    cancelled_roots = models.IntegerField(default=0, db_default=0)
    # Its open roots are being cancelled; `cancelled_up_to` is the last index looked at.
    is_cancelling = models.BooleanField(default=False, db_default=False)
    cancelled_up_to = models.IntegerField(default=0, db_default=0)

    class Meta:
        ordering = ["-id"]
        constraints = [
            CONDUCTOR_RUN.check("conductor_run_state", field="state"),
            models.CheckConstraint(
                condition=models.Q(
                    state__in=["SUCCEEDED", "FAILED", "CANCELLED"], finished_at__isnull=False
                )
                | models.Q(state__in=["PENDING", "RUNNING"], finished_at__isnull=True),
                name="conductor_run_finished_at_its_end",
            ),
            models.CheckConstraint(
                condition=models.Q(pruning_since__isnull=True)
                | models.Q(finished_at__isnull=False),
                name="conductor_run_being_pruned_has_ended",
            ),
        ]
        indexes = [
            models.Index(fields=["namespace", "-id"], name="conductor_run_namespace"),
            models.Index(
                fields=["namespace", "id"],
                condition=models.Q(state__in=["PENDING", "RUNNING"]),
                name="conductor_run_open",
            ),
            models.Index(fields=["state", "-id"], name="conductor_run_state_newest"),
            # For retention: by the time since the end.
            models.Index(
                fields=["finished_at", "id"],
                condition=models.Q(finished_at__isnull=False),
                name="conductor_run_finished",
            ),
            models.Index(
                fields=["id"],
                condition=models.Q(is_cancelling=True),
                name="conductor_run_cancelling",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"


class ConductorTask(models.Model):
    """A piece of work. A parent's work is its children; others are claimed by workers."""

    id = models.CharField(primary_key=True, max_length=26, editable=False, db_collation=_BY_BYTES)
    # The migration adds the foreign keys: of a root to its run, of a child to its parent and run.
    run = models.ForeignKey(
        ConductorRun,
        on_delete=models.DO_NOTHING,
        related_name="tasks",
        db_index=False,
        db_constraint=False,
    )
    parent = models.ForeignKey(
        "self",
        on_delete=models.DO_NOTHING,
        null=True,
        related_name="children",
        db_index=False,
        db_constraint=False,
    )
    # Counts from 1: a child's among its siblings, a root's in its run.
    index = models.IntegerField()
    namespace = models.CharField(max_length=100)
    name = models.CharField(max_length=300)
    state = models.CharField(max_length=10)
    is_parent = models.BooleanField(default=False, db_default=False)
    # May be claimed: PENDING, released, or FAILED with attempts left. Never a parent.
    ready = models.BooleanField()
    priority = models.IntegerField(default=0, db_default=0)
    attempt = models.IntegerField(default=0, db_default=0)
    max_attempts = models.IntegerField(default=1, db_default=1)
    # Null of a child made by fan-out: its input is made from its parent's when it is read.
    input = models.JSONField(null=True)
    output = models.JSONField(null=True)
    error = models.TextField(null=True)  # noqa: DJ001 - null: none
    # The fencing token of the claim that may write. It stays with the outcome that it brought, and
    # is null while no worker holds the task otherwise.
    lease_token = models.UUIDField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    # For how long a heartbeat renews it.
    lease_seconds = models.SmallIntegerField(null=True)
    worker = models.CharField(max_length=200, null=True)  # noqa: DJ001 - null: never claimed
    created_at = models.DateTimeField(db_default=Now())
    state_changed_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            TASK.check("conductor_task_state", field="state"),
            models.UniqueConstraint(fields=["run", "id"], name="conductor_task_of_run"),
            models.UniqueConstraint(
                fields=["parent", "index"],
                condition=models.Q(parent__isnull=False),
                name="one_child_per_parent_and_index",
            ),
            models.UniqueConstraint(
                fields=["run", "index"],
                condition=models.Q(parent__isnull=True),
                name="one_root_per_run_and_index",
            ),
            models.CheckConstraint(
                condition=models.Q(lease_token__isnull=True, lease_expires_at__isnull=True)
                | models.Q(lease_expires_at__isnull=True, state__in=["SUCCEEDED", "FAILED"])
                | models.Q(
                    lease_token__isnull=False,
                    lease_expires_at__isnull=False,
                    state="RUNNING",
                    ready=False,
                    is_parent=False,
                ),
                name="conductor_lease_of_running",
            ),
            models.CheckConstraint(
                condition=models.Q(ready=False)
                | models.Q(is_parent=False, state__in=["PENDING", "RUNNING", "FAILED"]),
                name="conductor_ready_is_open",
            ),
        ]
        indexes = [
            models.Index(
                "namespace",
                models.F("priority").desc(),
                "id",
                condition=models.Q(ready=True),
                name="conductor_task_ready",
            ),
            models.Index(
                "run",
                models.F("priority").desc(),
                "id",
                condition=models.Q(ready=True),
                name="conductor_task_ready_in_run",
            ),
            models.Index(
                fields=["lease_expires_at"],
                condition=models.Q(lease_expires_at__isnull=False),
                name="conductor_task_leased",
            ),
            # Failed ones are shown first.
            models.Index(
                fields=["run", "id"],
                condition=models.Q(state="FAILED"),
                name="conductor_task_failed",
            ),
            models.Index(
                fields=["parent", "index"],
                condition=models.Q(state="FAILED", parent__isnull=False),
                name="conductor_child_failed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"


class ConductorParent(_Counts):
    """What a task with children needs besides. The counts are those of its children."""

    task = models.OneToOneField(ConductorTask, on_delete=models.CASCADE, primary_key=True)
    # The task's: fan-out finds its parents by it, without those of halted namespaces.
    namespace = models.CharField(max_length=100)
    failure_policy = models.CharField(max_length=10)
    # How many children may fail; null unless the policy is `tolerate`.
    tolerated = models.IntegerField(null=True)
    # How many children are to be made, and how many were. Null: `input.fanout` is not valid, which
    # the next fan-out says; children that were handed in with the run count as made.
    fanout = models.IntegerField(null=True)
    fanned_out = models.IntegerField(default=0, db_default=0)
    # Fan-out has nothing to do here any more.
    is_fanned_out = models.BooleanField(default=False, db_default=False)
    # When a fan-out made children last; those that have waited longest come next.
    fanned_out_at = models.DateTimeField(db_default=Now())
    # Its open children are being cancelled; `cancelled_up_to` is the last index looked at.
    is_cancelling = models.BooleanField(default=False, db_default=False)
    cancelled_up_to = models.IntegerField(default=0, db_default=0)
    # Its failed children are being made ready again; `retried_up_to` is the last index looked at.
    # Until then it doesn't fail for them.
    is_retrying = models.BooleanField(default=False, db_default=False)
    retried_up_to = models.IntegerField(default=0, db_default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(failure_policy__in=[str(policy) for policy in FailurePolicy]),
                name="conductor_failure_policy",
            ),
            models.CheckConstraint(
                condition=models.Q(failure_policy="tolerate", tolerated__gte=0)
                | (~models.Q(failure_policy="tolerate") & models.Q(tolerated__isnull=True)),
                name="conductor_tolerated_of_its_policy",
            ),
            models.CheckConstraint(
                condition=models.Q(fanned_out__gte=0)
                & (models.Q(fanout__isnull=True) | models.Q(fanned_out__lte=models.F("fanout"))),
                name="conductor_fanned_out_of_fanout",
            ),
        ]
        indexes = [
            models.Index(
                fields=["namespace", "fanned_out_at", "task"],
                condition=models.Q(is_fanned_out=False, is_cancelling=False),
                name="conductor_parent_to_fan_out",
            ),
            models.Index(
                fields=["task"],
                condition=models.Q(is_cancelling=True),
                name="conductor_parent_cancelling",
            ),
            models.Index(
                fields=["task"],
                condition=models.Q(is_retrying=True),
                name="conductor_parent_retrying",
            ),
        ]

    def __str__(self) -> str:
        return self.task_id


class ConductorTally(_Counts):
    """How a statement changed the counts of a parent and a run. Aggregate adds it up, once.

    A trigger writes it, so every change of a task's state is in one. One without a change asks
    aggregate to look at the parent: the trigger writes it for a parent that was cancelled.
    """

    id = models.BigAutoField(primary_key=True)
    run_id = models.CharField(max_length=26, db_collation=_BY_BYTES)
    # Null: the tasks are roots.
    parent_id = models.CharField(  # noqa: DJ001 - as above
        max_length=26, null=True, db_collation=_BY_BYTES
    )

    class Meta:
        indexes = [models.Index(fields=["run_id", "parent_id"], name="conductor_tally_run")]

    def __str__(self) -> str:
        return self.run_id
