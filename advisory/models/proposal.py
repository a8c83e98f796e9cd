"""Strategy proposals."""

from django.db import models
from django.db.models.functions import Now

from advisory.models.signal import AdvisorySignal
from advisory.states import PROPOSAL, Proposal


class StrategyProposal(models.Model):
    """A change of a document, made against one revision of it.

    Triggers keep what it says, its moves, and that an approved one has its approvals.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    profile_id = models.CharField(max_length=100)
    #: Set if it changes the run profile, else it changes the profile.
    run_profile_id = models.CharField(max_length=100, null=True)  # noqa: DJ001
    #: Who is confined to namespaces sees it if this is one of them. None: the workspace's.
    namespace = models.CharField(max_length=100, null=True)  # noqa: DJ001
    base_revision = models.PositiveIntegerField()
    patch = models.JSONField()
    title = models.CharField(max_length=200)
    rationale = models.TextField()
    evidence = models.JSONField(default=dict)
    #: What it is expected to change, in numbers. None: nothing that can be measured.
    forecast = models.JSONField(null=True)
    #: The engine's rule; empty if a user wrote it.
    rule = models.CharField(max_length=50, default="", blank=True)
    signal = models.ForeignKey(AdvisorySignal, on_delete=models.PROTECT, null=True)
    author = models.CharField(max_length=200)
    #: Django's user, who may be renamed. None: the engine, or a command.
    author_user = models.BigIntegerField(null=True)
    requested_by = models.CharField(max_length=200, default="", blank=True)
    state = models.CharField(max_length=10, default=Proposal.PENDING)
    #: SHA-256 of document, revision and patch.
    fingerprint = models.CharField(max_length=64)
    required_approvals = models.PositiveSmallIntegerField(default=1)
    expires_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    #: Why it ended without a decision.
    end_reason = models.TextField(default="", blank=True)
    #: The revision that the approval made.
    applied_revision = models.PositiveIntegerField(null=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            PROPOSAL.check("proposal_state", "state"),
            models.UniqueConstraint(
                fields=["fingerprint"],
                condition=models.Q(state="pending"),
                name="one_pending_proposal_per_change",
            ),
            models.CheckConstraint(
                condition=models.Q(state="pending", ended_at=None)
                | (~models.Q(state="pending") & models.Q(ended_at__isnull=False)),
                name="proposal_ended_at",
            ),
            models.CheckConstraint(
                condition=models.Q(state="approved", applied_revision__isnull=False)
                | (~models.Q(state="approved") & models.Q(applied_revision=None)),
                name="proposal_applied_revision",
            ),
            models.CheckConstraint(
                condition=models.Q(required_approvals__gte=1, required_approvals__lte=10),
                name="proposal_required_approvals",
            ),
            # Decisions refer to both: one can't name another author than the proposal's.
            models.UniqueConstraint(fields=["id", "author"], name="proposal_author"),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="proposal_recent"),
            models.Index(fields=["state", "-created_at", "-id"], name="proposal_state_recent"),
            models.Index(fields=["profile_id", "-created_at"], name="proposal_profile"),
            models.Index(fields=["namespace", "-created_at", "-id"], name="proposal_namespace"),
            models.Index(
                fields=["expires_at"],
                condition=models.Q(state="pending", expires_at__isnull=False),
                name="proposal_expiring",
            ),
            models.Index(
                fields=["id"], condition=models.Q(state="pending"), name="proposal_pending"
            ),
        ]

    def __str__(self) -> str:
        return self.title
