"""Decide a proposal: the one function that every door calls.

What takes long is done before the transaction, which locks the configuration, then the proposal.
The database repeats the rules (migration 0002), so that no way round this function exists.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import IntegrityError

from advisory.decisions import decidable, digest
from advisory.decisions.digest import Seen
from advisory.errors import ChangedSinceSeen, Expired, ProposalUnknown, Superseded
from advisory.models import ProposalDecision, StrategyProposal
from advisory.proposals import documents
from advisory.states import Proposal, Verdict
from governance import audit
from governance.access.actors import SYSTEM, Actor, NotAllowed
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel import clock
from governance.kernel.constraints import violated
from governance.kernel.errors import OrbitError
from governance.kernel.identifiers import uuid7
from governance.namespaces import stops
from orbit.profiles import revisions
from orbit.profiles.edit import Draft
from orbit.profiles.expected import exactly


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a decision did."""

    #: As it is now.
    proposal: StrategyProposal
    decision: ProposalDecision
    approvals: int

    @property
    def sentence(self) -> str:
        """What happened, for a message."""
        proposal = self.proposal
        kind, name = documents.document_of(proposal)
        if proposal.state == Proposal.REJECTED:
            return f"Rejected. The {kind.words} {name} stays as it is."
        if proposal.state == Proposal.APPROVED:
            return (
                f"Approved: the {kind.words} {name} has revision {proposal.applied_revision} now. "
                f"To undo it, go back to revision {proposal.base_revision}."
            )
        return (
            f"{self.approvals} of {proposal.required_approvals} approvals: "
            "nothing changes until the others approve, too."
        )


def decide(
    proposal_id: UUID,
    verdict: Verdict,
    *,
    actor: Actor,
    reason: str,
    seen_sha256: str | None = None,
) -> Outcome:
    """Approve or reject a proposal; with enough approvals its change is applied.

    ``seen_sha256`` is the digest of what the reviewer saw. Raises ProposalUnknown, NotAllowed,
    ReasonInvalid, AlreadyDecided, Superseded, Expired, OwnProposal, ChangedSinceSeen and
    DocumentInvalid. A refusal is audited, and changes nothing but the state of a proposal that is
    superseded or expired.
    """
    proposal = StrategyProposal.objects.filter(actor.filter(), pk=proposal_id).first()
    if proposal is None:
        raise ProposalUnknown(f"There is no strategy proposal {proposal_id}.")
    reason = stops.clean_reason(reason)
    try:
        actor.require(Scope.REVIEW)
        decidable.ensure(proposal, actor)
        work = _Work(proposal, verdict, actor, reason, digest.seen(proposal))
        with audit.transaction():
            return work.decide(seen_sha256)
    except IntegrityError as error:
        refusal = _translated(error)
        _record_refusal(proposal, verdict, actor, reason, refusal)
        raise refusal from error
    except OrbitError as refusal:
        _record_refusal(proposal, verdict, actor, reason, refusal)
        raise


class _Work:
    """One decision."""

    def __init__(
        self, proposal: StrategyProposal, verdict: Verdict, actor: Actor, reason: str, seen: Seen
    ) -> None:
        self._id, self._verdict, self._actor, self._reason = proposal.pk, verdict, actor, reason
        self._seen = seen
        self._draft: Draft | None = None
        if verdict == Verdict.APPROVE:
            kind, name = documents.document_of(proposal)
            self._draft = Draft(
                kind,
                name,
                seen.after,
                actor=actor,
                expected=exactly(proposal.base_revision),
                scope=Scope.REVIEW,
            )

    def decide(self, seen_sha256: str | None) -> Outcome:
        """Decide in the caller's transaction."""
        revisions.lock()
        proposal = StrategyProposal.objects.select_for_update().get(pk=self._id)
        decidable.ensure(proposal, self._actor)
        decidable.ensure_still_allowed(proposal, self._actor)
        if seen_sha256 not in (None, self._seen.sha256):
            raise ChangedSinceSeen
        if self._draft is not None:
            self._draft.check()
        decision = self._insert(proposal)
        approvals = proposal.decisions.filter(verdict=Verdict.APPROVE).count()
        if self._verdict == Verdict.REJECT:
            self._end(proposal, Proposal.REJECTED, Action.PROPOSAL_REJECTED)
        elif approvals >= proposal.required_approvals:
            self._end(proposal, Proposal.APPROVED, Action.PROPOSAL_APPROVED)
        else:
            self._record(proposal, Action.APPROVAL_GIVEN, approvals=approvals)
        return Outcome(proposal, decision, approvals)

    def _insert(self, proposal: StrategyProposal) -> ProposalDecision:
        return ProposalDecision.objects.create(
            id=uuid7(),
            proposal=proposal,
            verdict=self._verdict,
            reason=self._reason,
            author=proposal.author,
            author_user=proposal.author_user,
            decided_by=self._actor.name,
            decided_by_user=self._actor.user_id,
            seen=self._seen.document,
            seen_sha256=self._seen.sha256,
        )

    def _end(self, proposal: StrategyProposal, state: Proposal, action: Action) -> None:
        revision = self._apply(proposal) if state == Proposal.APPROVED else None
        _move(proposal, state, applied_revision=revision)
        proposal.refresh_from_db()
        self._record(proposal, action, applied_revision=revision)

    def _apply(self, proposal: StrategyProposal) -> int:
        assert self._draft is not None  # noqa: S101 - it is approved
        return self._draft.write(
            source="proposal", reason=f"approved proposal {proposal.pk}: {self._reason}"
        )

    def _record(self, proposal: StrategyProposal, action: Action, **after: int | None) -> None:
        audit.record(
            action,
            actor=self._actor.name,
            object_id=str(proposal.pk),
            namespace=proposal.namespace,
            before={"state": Proposal.PENDING},
            after={
                "state": proposal.state,
                "required_approvals": proposal.required_approvals,
                "seen_sha256": self._seen.sha256,
                **{name: value for name, value in after.items() if value is not None},
            },
            reason=self._reason,
        )


def _move(proposal: StrategyProposal, state: Proposal, **values: Any) -> bool:
    """End the pending ``proposal`` as ``state``; tell whether this call did."""
    rows = StrategyProposal.objects.filter(pk=proposal.pk, state=Proposal.PENDING)
    # A trigger writes the real time.
    return bool(rows.update(state=state, ended_at=clock.now(), **values))


def _translated(error: IntegrityError) -> OrbitError:
    """Return the refusal for what became true within the transaction. Raises ``error``."""
    if violated(error) == "decision_in_time":
        return Expired()
    if violated(error) == "decision_user":
        return NotAllowed("Your user was renamed or disabled just now. Log in again.")
    raise error


def _record_refusal(
    proposal: StrategyProposal, verdict: Verdict, actor: Actor, reason: str, refusal: OrbitError
) -> None:
    """Record the refusal, and end a proposal that is superseded or expired.

    In a transaction of its own: that of the decision is rolled back.
    """
    with audit.transaction():
        if isinstance(refusal, Superseded | Expired):
            _end_without_decision(proposal, refusal)
        audit.record(
            Action.DECISION_REFUSED,
            actor=actor.name,
            object_id=str(proposal.pk),
            namespace=proposal.namespace,
            after={"verdict": verdict, "code": refusal.code, "detail": refusal.detail},
            reason=reason,
        )


def _end_without_decision(proposal: StrategyProposal, refusal: Superseded | Expired) -> None:
    revisions.lock()
    superseded = isinstance(refusal, Superseded)
    if superseded and documents.current_revision(proposal) == proposal.base_revision:
        return  # another edit went back meanwhile, or it has been marked already
    state = Proposal.SUPERSEDED if superseded else Proposal.EXPIRED
    if _move(proposal, state, end_reason=refusal.detail):
        audit.record(
            Action.PROPOSAL_ENDED,
            actor=SYSTEM.name,
            object_id=str(proposal.pk),
            namespace=proposal.namespace,
            before={"state": Proposal.PENDING},
            after={"state": state},
            reason=refusal.detail,
        )
