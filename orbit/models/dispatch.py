"""Deliveries: endpoints, jobs, attempts, dead letters."""

from django.db import models
from django.db.models.functions import Now

from orbit.models.cycle import CycleRun
from orbit.models.pipeline import NormalizationItem
from orbit.states import ATTEMPT, JOB, LETTER


class EndpointState(models.Model):
    """One endpoint's limits and circuit, shared by all processes."""

    id = models.UUIDField(primary_key=True, editable=False)
    endpoint_key = models.CharField(max_length=100)
    host = models.CharField(max_length=255)
    # The caps of the newest configuration. They bind jobs of older snapshots too.
    max_concurrency = models.PositiveIntegerField(null=True)
    rate_per_second = models.FloatField(null=True)
    # Attempts in a row that found the endpoint down; `several`: of more than one job.
    failures = models.PositiveIntegerField(default=0, db_default=0)
    failed_job = models.UUIDField(null=True)
    several = models.BooleanField(default=False, db_default=False)
    last_error = models.TextField(default="", db_default="")
    # While the circuit is open: a probe at `probe_at`, the next one `probe_wait` seconds later.
    opened_at = models.DateTimeField(null=True)
    probe_at = models.DateTimeField(null=True)
    probe_wait = models.FloatField(null=True)
    # What the endpoint asked for by Retry-After.
    hold_until = models.DateTimeField(null=True)
    # The virtual time of the rate limit.
    next_slot_at = models.DateTimeField(null=True)
    # The end of the queue of waiting cycles.
    next_turn_at = models.DateTimeField(null=True)
    # The last test delivery: they are bounded in rate.
    tested_at = models.DateTimeField(null=True)
    # What became of the last ones, the newest first.
    tests = models.JSONField(default=list, db_default=[])

    class Meta:
        ordering = ["endpoint_key", "host"]
        constraints = [
            models.UniqueConstraint(fields=["endpoint_key", "host"], name="one_state_per_receiver"),
            models.CheckConstraint(
                condition=models.Q(
                    opened_at__isnull=True, probe_at__isnull=True, probe_wait__isnull=True
                )
                | models.Q(
                    opened_at__isnull=False, probe_at__isnull=False, probe_wait__isnull=False
                ),
                name="open_circuit_is_probed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.endpoint_key} at {self.host}"


class EndpointSnapshot(models.Model):
    """One distinct endpoint configuration, encrypted except for its host."""

    id = models.UUIDField(primary_key=True, editable=False)
    fingerprint = models.CharField(max_length=64, unique=True)
    endpoint_key = models.CharField(max_length=100)
    host = models.CharField(max_length=255)
    # Null in rows of an older release: those endpoints have no limits and no circuit.
    state = models.ForeignKey(
        EndpointState, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    sealed = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.endpoint_key} at {self.host}"


class DispatchJob(models.Model):
    """One item to one endpoint."""

    id = models.UUIDField(primary_key=True, editable=False)
    cycle = models.ForeignKey(
        CycleRun, on_delete=models.PROTECT, related_name="jobs", db_index=False
    )
    normalization_item = models.ForeignKey(
        NormalizationItem, on_delete=models.PROTECT, related_name="jobs", db_index=False
    )
    endpoint_key = models.CharField(max_length=100)
    snapshot = models.ForeignKey(
        EndpointSnapshot, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    delivery_id = models.UUIDField()
    status = models.CharField(max_length=10)
    # `attempts` counts requests, `spent` those that cost a retry.
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    spent = models.PositiveSmallIntegerField(default=0, db_default=0)
    max_retries = models.PositiveSmallIntegerField()
    next_attempt_at = models.DateTimeField(null=True)
    requeue_of = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, related_name="requeues", db_index=False
    )
    last_error = models.TextField(default="", db_default="")
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            # Nulls are equal: first jobs are unique too. Its index also finds a cycle's jobs.
            models.UniqueConstraint(
                fields=["cycle", "normalization_item", "endpoint_key", "requeue_of"],
                nulls_distinct=False,
                name="one_job_per_item_and_endpoint",
            ),
            models.UniqueConstraint(
                fields=["requeue_of"],
                condition=models.Q(requeue_of__isnull=False),
                name="one_requeue_per_job",
            ),
            JOB.check("job_status"),
            models.CheckConstraint(
                condition=models.Q(next_attempt_at__isnull=False) | ~models.Q(status="pending"),
                name="pending_job_is_due",
            ),
        ]
        indexes = [
            models.Index(
                fields=["cycle", "next_attempt_at"],
                condition=models.Q(status__in=["pending", "sending"]),
                name="job_open",
            ),
            models.Index(fields=["delivery_id"], name="job_delivery_id"),
            # For the foreign keys' checks, when retention deletes items and snapshots.
            models.Index(fields=["normalization_item"], name="job_item"),
            models.Index(fields=["snapshot"], name="job_snapshot"),
            models.Index(
                fields=["status", "-id"],
                condition=models.Q(status__in=["dead", "cancelled"]),
                name="job_notable",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class DeliveryReceipt(models.Model):
    """One request: written before it is sent, completed with its answer."""

    id = models.UUIDField(primary_key=True, editable=False)
    job = models.ForeignKey(
        DispatchJob, on_delete=models.PROTECT, related_name="receipts", db_index=False
    )
    attempt = models.PositiveSmallIntegerField()
    status = models.CharField(max_length=10)
    worker = models.CharField(max_length=100)
    fencing_token = models.BigIntegerField()
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    status_code = models.PositiveSmallIntegerField(null=True)
    error_class = models.CharField(max_length=40, null=True)  # noqa: DJ001 - null is none
    error = models.TextField(default="", db_default="")
    latency_ms = models.FloatField(null=True)
    response_excerpt = models.TextField(default="", db_default="")
    body_sha256 = models.CharField(max_length=64)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["job", "attempt"], name="one_receipt_per_attempt"),
            ATTEMPT.check("receipt_status"),
        ]
        indexes = [
            models.Index(
                fields=["started_at"], condition=models.Q(status="sending"), name="receipt_sending"
            ),
            # Without the delivered ones: they are most of the table.
            models.Index(
                fields=["status", "-id"],
                condition=models.Q(status__in=["failed", "unknown", "unsent"]),
                name="receipt_notable",
            ),
        ]

    def __str__(self) -> str:
        return f"attempt {self.attempt}: {self.status}"


class DeadLetterDispatch(models.Model):
    """A delivery that was given up. Only a user sends it again."""

    id = models.UUIDField(primary_key=True, editable=False)
    job = models.OneToOneField(DispatchJob, on_delete=models.PROTECT, related_name="dead_letter")
    cycle = models.ForeignKey(CycleRun, on_delete=models.PROTECT, related_name="dead_letters")
    namespace = models.CharField(max_length=100)
    endpoint_key = models.CharField(max_length=100)
    status = models.CharField(max_length=16)
    reason = models.CharField(max_length=100)
    last_error = models.TextField(default="", db_default="")
    status_code = models.PositiveSmallIntegerField(null=True)
    attempts = models.PositiveSmallIntegerField()
    first_failed_at = models.DateTimeField(null=True)
    last_failed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    requeued_job = models.OneToOneField(
        DispatchJob, on_delete=models.PROTECT, null=True, related_name="requeued_from"
    )
    resolved_by = models.CharField(max_length=200, default="", db_default="")
    resolved_at = models.DateTimeField(null=True)
    resolved_reason = models.TextField(default="", db_default="")
    # The last error without its variable parts.
    error_pattern = models.GeneratedField(
        expression=models.Func("last_error", function="orbit_error_pattern"),
        output_field=models.CharField(max_length=200),
        db_persist=True,
    )
    # The same for letters with the same endpoint, reason, status code and pattern.
    error_group = models.GeneratedField(
        expression=models.Func(
            "endpoint_key", "reason", "status_code", "last_error", function="orbit_error_group"
        ),
        output_field=models.CharField(max_length=16),
        db_persist=True,
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            LETTER.check("dead_letter_status"),
            models.CheckConstraint(
                condition=models.Q(requeued_job__isnull=False) | ~models.Q(status="requeued"),
                name="requeued_letter_has_its_job",
            ),
        ]
        indexes = [
            models.Index(fields=["namespace", "-id"], name="dead_letter_namespace"),
            models.Index(
                fields=["endpoint_key", "-id"],
                condition=models.Q(status="open"),
                name="dead_letter_open",
            ),
            models.Index(
                fields=["status", "-id"],
                condition=models.Q(status__in=["requeued", "dismissed", "delivered_late"]),
                name="dead_letter_resolved",
            ),
            models.Index(fields=["error_group", "id"], name="dead_letter_group"),
            # Groups of open letters read this index alone.
            models.Index(
                fields=["id"],
                include=["error_group", "namespace", "endpoint_key", "created_at"],
                condition=models.Q(status="open"),
                name="dead_letter_open_groups",
            ),
            # Cycles with open letters, the newest first.
            models.Index(
                fields=["-cycle"], condition=models.Q(status="open"), name="dead_letter_open_cycle"
            ),
            models.Index(
                fields=["error_group", "namespace", "resolved_at"],
                condition=models.Q(status="requeued"),
                name="dead_letter_requeued",
            ),
        ]
        verbose_name_plural = "dead letter dispatches"

    def __str__(self) -> str:
        return str(self.id)
