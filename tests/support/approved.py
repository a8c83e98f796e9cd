"""Approved proposals, written as rows: what tests of their follow-up begin with."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models.functions import Now

from advisory.decisions.expiry import Superseding
from advisory.models import Probation, ProposalDecision, StrategyProposal
from advisory.states import Proposal
from governance import audit
from governance.access.actors import SYSTEM, Actor
from governance.access.roles import ROLES
from governance.kernel.identifiers import uuid7
from orbit.models import CycleRun
from orbit.profiles import edit
from orbit.profiles.expected import ANY
from orbit.profiles.kinds import PROFILE, RUN_PROFILE

#: Who wrote the proposals of a user, and two who decide. Only a command decides without a user.
ANN = Actor("ann", None, ROLES["Operator"] | ROLES["Reviewer"], None)
BEN = Actor("command:ben", None, ROLES["Reviewer"], None)
CLEO = Actor("command:cleo", None, ROLES["Reviewer"], None)


def pending(
    profile_id: str = "daily", *, run_profile_id: str | None = None, base: int = 1, **values: Any
) -> StrategyProposal:
    """Create a pending proposal of the engine."""
    proposal_id = uuid7()
    return StrategyProposal.objects.create(
        **{
            "id": proposal_id,
            "profile_id": profile_id,
            "run_profile_id": run_profile_id,
            "namespace": "eu",
            "base_revision": base,
            "patch": [{"op": "replace", "path": "/label", "value": "Better"}],
            "title": "A better label",
            "rationale": "The label was not good.",
            "rule": "better_label",
            "author": SYSTEM.name,
            "fingerprint": f"{proposal_id.int:064x}",
            **values,
        }
    )


def approve(proposal: StrategyProposal, document: dict[str, Any]) -> StrategyProposal:
    """Apply ``document`` as the approval of ``proposal`` by ben."""
    kind = PROFILE if proposal.run_profile_id is None else RUN_PROFILE
    ProposalDecision.objects.create(
        id=uuid7(),
        proposal=proposal,
        verdict="approve",
        reason="good",
        author=proposal.author,
        author_user=proposal.author_user,
        decided_by=BEN.name,
        seen={},
        seen_sha256="0" * 64,
    )
    saved = edit.save(
        kind,
        proposal.run_profile_id or proposal.profile_id,
        document,
        actor=SYSTEM,
        source="proposal",
        expected=ANY,
        reason=f"proposal {proposal.pk}",
    )
    StrategyProposal.objects.filter(pk=proposal.pk).update(
        state=Proposal.APPROVED, applied_revision=saved.revision, ended_at=Now()
    )
    proposal.refresh_from_db()
    return proposal


def supersede_outdated() -> int:
    """End pending proposals, of the oldest, whose document has moved on; return how many."""
    return Superseding().end_outdated()


def on_probation(
    proposal: StrategyProposal,
    document: dict[str, Any],
    *,
    cycles: int | None = None,
    until: datetime | None = None,
) -> StrategyProposal:
    """Approve on probation; ``until`` may be past."""
    with audit.transaction():
        approve(proposal, document)
        Probation.objects.create(
            proposal=proposal,
            cycles=cycles,
            until=until,
            fallback_revision=proposal.base_revision,
            applied_revision=proposal.applied_revision,
            asked_by=BEN.name,
        )
    return proposal


def ended_cycle(
    *,
    run_profile_id: str = "daily-eu",
    profile_id: str = "daily",
    namespace: str = "eu",
    revision: int = 2,
    run_revision: int = 1,
    status: str = "success",
    finished_at: datetime,
    milliseconds: int = 1000,
) -> UUID:
    """Create a cycle that ended at ``finished_at``."""
    cycle_id = uuid7()
    CycleRun.objects.create(
        id=cycle_id,
        namespace_id=namespace,
        status=status,
        trigger="rest",
        profile_id=profile_id,
        profile_revision=revision,
        run_profile_id=run_profile_id,
        run_profile_revision=run_revision,
        context={},
        initiation_hash="0" * 64,
        input=b"{}",
        input_content_type="application/json",
        input_sha256="0" * 64,
        started_at=finished_at - timedelta(milliseconds=milliseconds),
        finished_at=finished_at,
    )
    return cycle_id
