"""Cycles, and the notices of skipped triggers."""

from django.db import models
from django.db.models.functions import Now

from governance.models import Namespace
from orbit.states import ACTIVE, CYCLE, Trigger


class CycleRun(models.Model):
    """One pass of the pipeline for one namespace."""

    id = models.UUIDField(primary_key=True, editable=False)
    namespace = models.ForeignKey(
        Namespace,
        on_delete=models.PROTECT,
        to_field="name",
        db_column="namespace",
        related_name="+",
        db_index=False,
    )
    status = models.CharField(max_length=16)
    trigger = models.CharField(max_length=10)
    # The tick or the request with an Idempotency-Key that created it with many others, in slices.
    call = models.UUIDField(null=True)
    triggered_by = models.CharField(max_length=200, default="", db_default="")
    profile_id = models.CharField(max_length=100, null=True)  # noqa: DJ001 - raw: none
    profile_revision = models.PositiveIntegerField(null=True)
    run_profile_id = models.CharField(max_length=100, null=True)  # noqa: DJ001 - raw: none
    run_profile_revision = models.PositiveIntegerField(null=True)
    instruction_id = models.CharField(max_length=64, null=True)  # noqa: DJ001 - raw: none
    context = models.JSONField()
    initiation_hash = models.CharField(max_length=64)
    input = models.BinaryField()
    input_content_type = models.CharField(max_length=200)
    input_sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # This alone decides when a worker looks at the cycle next: after a trigger, for a retry, when a
    # lease expires, for open deliveries of a finished cycle.
    next_due_at = models.DateTimeField(null=True)
    lease_owner = models.CharField(max_length=100, null=True)  # noqa: DJ001 - null is free
    lease_expires_at = models.DateTimeField(null=True)
    # Grows with every claim; every write of the pipeline carries it.
    fencing_token = models.BigIntegerField(default=0, db_default=0)
    resumes = models.PositiveSmallIntegerField(default=0, db_default=0)
    progress = models.PositiveIntegerField(default=0, db_default=0)
    requeues = models.PositiveIntegerField(default=0, db_default=0)
    stages = models.JSONField(null=True)
    reason = models.TextField(default="", db_default="")
    rerun_of = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        db_column="rerun_of",
        null=True,
        related_name="reruns",
        db_index=False,
    )
    # What a re-run reuses of the cycle that it repeats (``orbit.cycles.rerun.plan``).
    takeover = models.JSONField(null=True)
    # The span of the caller that triggered it (W3C trace context).
    traceparent = models.CharField(max_length=55, null=True)  # noqa: DJ001 - null: none

    class Meta:
        ordering = ["-id"]
        constraints = [
            CYCLE.check("cycle_status"),
            models.CheckConstraint(
                condition=models.Q(trigger__in=[str(t) for t in Trigger]), name="cycle_trigger"
            ),
            models.UniqueConstraint(
                fields=["namespace"],
                condition=models.Q(status__in=[str(s) for s in ACTIVE]),
                name="one_active_cycle_per_namespace",
            ),
            models.UniqueConstraint(
                fields=["call", "run_profile_id"],
                condition=models.Q(call__isnull=False),
                name="one_cycle_per_call",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    finished_at__isnull=True, status__in=["queued", "pending", "running"]
                )
                | models.Q(finished_at__isnull=False, status__in=sorted(CYCLE.final)),
                name="cycle_finish_matches_status",
            ),
            models.CheckConstraint(
                condition=models.Q(lease_owner__isnull=True, lease_expires_at__isnull=True)
                | models.Q(
                    lease_owner__isnull=False,
                    lease_expires_at__isnull=False,
                    next_due_at__isnull=False,
                ),
                name="cycle_lease_whole",
            ),
            models.CheckConstraint(
                condition=models.Q(rerun_of__isnull=True) | models.Q(takeover__isnull=False),
                name="rerun_has_its_takeover",
            ),
            # An active cycle is always due at some time, so no worker can forget it.
            models.CheckConstraint(
                condition=models.Q(next_due_at__isnull=False)
                | ~models.Q(status__in=[str(s) for s in ACTIVE]),
                name="active_cycle_is_due",
            ),
        ]
        indexes = [
            # `resumes < 2` is ``fence.ALONE_FROM``: cycles that may kill their worker have indexes
            # of their own, so that any number of them costs the other claims nothing.
            models.Index(
                fields=["next_due_at", "id"],
                condition=models.Q(next_due_at__isnull=False, resumes__lt=2),
                name="cycle_due_free",
            ),
            models.Index(
                fields=["next_due_at", "id"],
                condition=models.Q(next_due_at__isnull=False, resumes__gte=2),
                name="cycle_suspected_order",
            ),
            # A claim goes by namespace where the oldest due cycles may not run.
            models.Index(
                fields=["namespace", "next_due_at", "id"],
                condition=models.Q(next_due_at__isnull=False, resumes__lt=2),
                name="cycle_due_namespace",
            ),
            models.Index(
                fields=["namespace", "next_due_at", "id"],
                condition=models.Q(next_due_at__isnull=False, resumes__gte=2),
                name="cycle_suspected",
            ),
            models.Index(
                fields=["namespace"],
                condition=models.Q(lease_owner__isnull=False),
                name="cycle_leased",
            ),
            models.Index(fields=["namespace", "-id"], name="cycle_namespace"),
            models.Index(fields=["run_profile_id", "-id"], name="cycle_run_profile"),
            models.Index(
                fields=["namespace", "id"], condition=models.Q(status="queued"), name="cycle_queued"
            ),
            models.Index(
                fields=["rerun_of", "id"],
                condition=models.Q(rerun_of__isnull=False),
                name="cycle_reruns",
            ),
            # For retention: by the time since the end.
            models.Index(
                fields=["finished_at", "id"],
                condition=models.Q(finished_at__isnull=False),
                name="cycle_finished",
            ),
            models.Index(
                fields=["resumes"], condition=models.Q(resumes__gt=0), name="cycle_resumed"
            ),
            # What users and scripts started; the schedule's many are not in this index.
            models.Index(
                fields=["trigger", "-id"],
                condition=models.Q(trigger__in=["rest", "admin", "command"]),
                name="cycle_by_trigger",
            ),
            # Operators look for the rare ones; the many successes are not in this index.
            models.Index(
                fields=["status", "-id"],
                condition=models.Q(status__in=["queued", "partial_success", "failed", "cancelled"]),
                name="cycle_notable",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class SkipNotice(models.Model):
    """A namespace's last skip record, and the triggers since."""

    namespace = models.CharField(max_length=100, primary_key=True)
    written_at = models.DateTimeField()
    suppressed = models.PositiveIntegerField(default=0, db_default=0)
    carried = models.PositiveIntegerField(default=0, db_default=0)

    def __str__(self) -> str:
        return self.namespace
