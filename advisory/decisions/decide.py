"""Decide a proposal: the one function that every door calls.

What takes long is done before the transaction, which locks the configuration, then the proposal.
The database repeats the rules (migration 0002), so that no way round this function exists.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import IntegrityError

from advisory.decisions import decidable, digest, track_record
from advisory.decisions.probation import ProbationInvalid, Terms
from advisory.decisions.probation import start as start_probation
from advisory.errors import AlreadyDecided, ChangedSinceSeen, Expired, Superseded
from advisory.models import ProposalDecision, StrategyProposal
from advisory.proposals import documents, reading, results
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
    probation: Terms | None = None,
    call: UUID | None = None,
) -> Outcome:
    """Approve or reject a proposal; with enough approvals its change is applied.

    ``seen_sha256`` is the digest of what the reviewer saw. ``probation`` ends an approval by
    itself. The same ``call`` by the same actor decides once, and has the same outcome each time.

    Raises ProposalUnknown, ReasonInvalid, NotAllowed, AlreadyDecided, Superseded, Expired,
    OwnProposal, ChangedSinceSeen, PatchInvalid, DocumentInvalid and ProbationInvalid. A refusal is
    audited, and changes nothing but the state of a proposal that is superseded or expired.
    """
    proposal = reading.find(proposal_id, actor=actor)
    reason = stops.clean_reason(reason)
    if probation is not None and verdict == Verdict.REJECT:
        raise ProbationInvalid("A rejection has no probation.")
    try:
        actor.require(Scope.REVIEW)
        if (done := _done(proposal, actor, call)) is not None:
            return done
        decidable.ensure(proposal, actor)
        work = _Work(proposal, verdict, actor, reason, probation, call or uuid7())
        with audit.transaction():
            return work.decide(seen_sha256)
    except IntegrityError as error:
        refusal = _translated(error)
        _record_refusal(proposal, verdict, actor, reason, refusal)
        raise refusal from error
    except OrbitError as refusal:
        _record_refusal(proposal, verdict, actor, reason, refusal)
        raise


def _done(proposal: StrategyProposal, actor: Actor, call: UUID | None) -> Outcome | None:
    """Return what the decision ``call`` of ``actor`` did, if it was made."""
    if call is None:
        return None
    decision = ProposalDecision.objects.filter(
        pk=call, proposal=proposal, decided_by=actor.name, decided_by_user=actor.user_id
    ).first()
    return None if decision is None else Outcome(proposal, decision, _approvals(proposal))


def _approvals(proposal: StrategyProposal) -> int:
    return ProposalDecision.objects.filter(proposal=proposal, verdict=Verdict.APPROVE).count()


class _Work:
    """One decision. What takes long with a large document is done before the transaction."""

    def __init__(
        self,
        proposal: StrategyProposal,
        verdict: Verdict,
        actor: Actor,
        reason: str,
        terms: Terms | None,
        decision_id: UUID,
    ) -> None:
        self._id, self._verdict, self._actor, self._reason = proposal.pk, verdict, actor, reason
        self._terms, self._decision_id = terms, decision_id
        self._seen = digest.seen(proposal, actor=actor)
        self._draft = self._drafted(proposal) if verdict == Verdict.APPROVE else None

    def _drafted(self, proposal: StrategyProposal) -> Draft:
        """Return the document that an approval saves. Raises what is against it."""
        kind, name = documents.document_of(proposal)
        before = self._seen.examined.before
        if before is None:
            raise Superseded  # within this call; the next one says by whom
        return Draft(
            kind,
            name,
            results.result(kind, name, before, proposal.patch),
            actor=self._actor,
            expected=exactly(proposal.base_revision),
            scope=Scope.REVIEW,
        )

    def decide(self, seen_sha256: str | None) -> Outcome:
        """Decide in the caller's transaction."""
        revisions.lock()
        proposal = StrategyProposal.objects.select_for_update().get(pk=self._id)
        if (done := _done(proposal, self._actor, self._decision_id)) is not None:
            return done  # an equal request was faster
        decidable.ensure(proposal, self._actor)
        decidable.ensure_still_allowed(proposal, self._actor)
        if seen_sha256 not in (None, self._seen.sha256):
            raise ChangedSinceSeen
        if self._draft is not None:
            self._draft.check()
        decision = self._insert(proposal)
        approvals = _approvals(proposal)
        if self._verdict == Verdict.REJECT:
            self._end(proposal, Proposal.REJECTED, Action.PROPOSAL_REJECTED)
        elif approvals < proposal.required_approvals:
            self._record(proposal, Action.APPROVAL_GIVEN, approvals=approvals)
        else:
            self._apply(proposal)
        return Outcome(proposal, decision, approvals)

    def _insert(self, proposal: StrategyProposal) -> ProposalDecision:
        return ProposalDecision.objects.create(
            id=self._decision_id,
            proposal=proposal,
            verdict=self._verdict,
            reason=self._reason,
            author=proposal.author,
            author_user=proposal.author_user,
            decided_by=self._actor.name,
            decided_by_user=self._actor.user_id,
            seen=self._seen.document,
            seen_sha256=self._seen.sha256,
            probation=None if self._terms is None else self._terms.to_dict(),
        )

    def _apply(self, proposal: StrategyProposal) -> None:
        """Save the change as the next revision, and begin what follows an approval."""
        assert self._draft is not None  # noqa: S101 - it is approved
        revision = self._draft.write(
            source="proposal",
            reason=f"approved proposal {proposal.pk}: {self._reason}",
            audited=False,  # one entry says it all
        )
        before, after = self._draft.sides
        # Of several approvals on probation, what ends first counts.
        agreed = proposal.decisions.filter(probation__isnull=False)
        terms = Terms.strictest(decision.probation or {} for decision in agreed)
        self._end(
            proposal,
            Proposal.APPROVED,
            Action.PROPOSAL_APPROVED,
            before={"revision": proposal.base_revision, "document": before},
            applied_revision=revision,
            document=after,
            probation=None if terms is None else terms.to_dict(),
        )
        track_record.start(proposal)
        if terms is not None:
            start_probation(proposal, terms, applied_revision=revision, actor=self._actor)

    def _end(
        self,
        proposal: StrategyProposal,
        state: Proposal,
        action: Action,
        *,
        before: dict[str, Any] | None = None,
        applied_revision: int | None = None,
        **after: Any,
    ) -> None:
        _move(proposal, state, applied_revision=applied_revision)
        proposal.refresh_from_db()
        self._record(proposal, action, before, applied_revision=applied_revision, **after)

    def _record(
        self,
        proposal: StrategyProposal,
        action: Action,
        before: dict[str, Any] | None = None,
        **after: Any,
    ) -> None:
        audit.record(
            action,
            actor=self._actor.name,
            object_id=str(proposal.pk),
            namespace=proposal.namespace,
            before={"state": Proposal.PENDING, **(before or {})},
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
    if violated(error) == "advisory_proposaldecision_pkey":
        return AlreadyDecided("This form decided another proposal. Open the page again.")
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
