"""Decisions on proposals, and who has to make how many."""

from django.db import models
from django.db.models.functions import Now

from advisory.models.proposal import StrategyProposal
from advisory.states import Verdict
from governance.models import Namespace


class ProposalDecision(models.Model):
    """One reviewer's decision. Append-only; the database refuses the author's own."""

    id = models.UUIDField(primary_key=True, editable=False)
    proposal = models.ForeignKey(
        StrategyProposal, on_delete=models.PROTECT, related_name="decisions"
    )
    verdict = models.CharField(max_length=10)
    reason = models.TextField()
    #: The proposal's author and its user, repeated for the constraint.
    author = models.CharField(max_length=200)
    author_user = models.BigIntegerField(null=True)
    decided_by = models.CharField(max_length=200)
    decided_by_user = models.BigIntegerField(null=True)
    #: What the reviewer saw, and the SHA-256 of its canonical JSON.
    seen = models.JSONField()
    seen_sha256 = models.CharField(max_length=64)
    #: The terms of the probation, as ``Terms.to_dict`` makes them.
    probation = models.JSONField(null=True)
    decided_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["decided_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(verdict__in=[str(verdict) for verdict in Verdict]),
                name="decision_verdict",
            ),
            models.CheckConstraint(
                condition=~models.Q(decided_by=models.F("author"))
                & (
                    models.Q(author_user=None)
                    | models.Q(decided_by_user=None)
                    | ~models.Q(decided_by_user=models.F("author_user"))
                ),
                name="four_eyes",
            ),
            models.UniqueConstraint(
                fields=["proposal", "decided_by"], name="one_decision_per_reviewer"
            ),
            models.UniqueConstraint(
                fields=["proposal", "decided_by_user"],
                condition=models.Q(decided_by_user__isnull=False),
                name="one_decision_per_user",
            ),
            models.CheckConstraint(condition=~models.Q(reason=""), name="decision_reason"),
            models.CheckConstraint(
                condition=models.Q(seen_sha256__regex="^[0-9a-f]{64}$"), name="decision_digest"
            ),
            models.CheckConstraint(
                condition=models.Q(verdict="approve") | models.Q(probation__isnull=True),
                name="decision_probation",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} by {self.decided_by}"


class ApprovalPolicy(models.Model):
    """How proposals of a namespace are decided. Without a row: one approval, no expiry."""

    namespace = models.OneToOneField(
        Namespace,
        on_delete=models.PROTECT,
        to_field="name",
        db_column="namespace",
        primary_key=True,
        related_name="+",
    )
    required_approvals = models.PositiveSmallIntegerField(default=1, db_default=1)
    #: From a proposal's creation. None: proposals don't expire.
    expires_after_hours = models.PositiveIntegerField(null=True, blank=True)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["namespace"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(required_approvals__gte=1, required_approvals__lte=10),
                name="policy_required_approvals",
            ),
            models.CheckConstraint(
                condition=models.Q(expires_after_hours=None)
                | models.Q(expires_after_hours__gte=1, expires_after_hours__lte=87_600),
                name="policy_expiry",
            ),
        ]
        verbose_name_plural = "approval policies"

    def __str__(self) -> str:
        return str(self.namespace_id)
