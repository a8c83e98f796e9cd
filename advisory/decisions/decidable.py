"""Whether an actor may decide a proposal, or what is against it."""

from datetime import datetime

from django.db.models import Q

from advisory.errors import AlreadyDecided, Expired, OwnProposal, Superseded
from advisory.models import ProposalDecision, StrategyProposal
from advisory.proposals import documents, reading
from advisory.states import Proposal, Verdict
from governance.access import still_allowed
from governance.access.actors import Actor, NotAllowed
from governance.access.roles import Scope
from governance.access.still_allowed import Initiator
from governance.kernel import clock
from governance.kernel.errors import OrbitError
from orbit.profiles import edit

_PAST = {Verdict.APPROVE: "approved", Verdict.REJECT: "rejected"}


def why_not(proposal: StrategyProposal, actor: Actor) -> OrbitError | None:
    """Return why ``actor``, who sees ``proposal``, can't decide it now; None if they can."""
    try:
        actor.require(Scope.REVIEW)
        ensure(proposal, actor)
    except OrbitError as refusal:
        return refusal
    return None


def ensure(proposal: StrategyProposal, actor: Actor) -> None:
    """Raise why ``actor`` can't decide ``proposal``, whatever the verdict.

    In this order: AlreadyDecided, Superseded or Expired; OwnProposal; Superseded; NotAllowed.
    """
    _ensure_open(proposal, actor)
    if reading.is_own(proposal, actor=actor):
        raise OwnProposal
    _ensure_current(proposal, actor)


def _ensure_open(proposal: StrategyProposal, actor: Actor) -> None:
    if proposal.state in (Proposal.APPROVED, Proposal.REJECTED):
        last = proposal.decisions.order_by("-decided_at").first()
        assert last is not None  # noqa: S101 - a rule of the table
        raise _already(last, actor, proposal)
    if proposal.state == Proposal.SUPERSEDED:
        raise Superseded(proposal.end_reason)
    if proposal.state == Proposal.EXPIRED or (
        proposal.expires_at is not None and proposal.expires_at <= clock.read()
    ):
        raise Expired(_expired(proposal))
    mine = Q(decided_by=actor.name)
    if actor.user_id is not None:
        mine |= Q(decided_by_user=actor.user_id)
    own = proposal.decisions.filter(mine).first()
    if own is not None:
        raise _already(own, actor, proposal)


def _already(
    decision: ProposalDecision, actor: Actor, proposal: StrategyProposal
) -> AlreadyDecided:
    """Return the refusal that says who decided, and when to the second."""
    own = decision.decided_by == actor.name or (
        actor.user_id is not None and actor.user_id == decision.decided_by_user
    )
    who = "You have" if own else f"{decision.decided_by} has"
    more = ""
    if proposal.state == Proposal.PENDING:
        more = f" It needs {proposal.required_approvals} approvals by different users."
    return AlreadyDecided(
        f"{who} {_PAST[Verdict(decision.verdict)]} this proposal already, at "
        f"{_to_second(decision.decided_at)}: {decision.reason}{more}",
        state=proposal.state,
        verdict=decision.verdict,
        decided_by=decision.decided_by,
        decided_at=f"{decision.decided_at:%Y-%m-%dT%H:%M:%S.%fZ}",
    )


def _ensure_current(proposal: StrategyProposal, actor: Actor) -> None:
    """Raise Superseded unless the document is as ``proposal`` found it; or NotAllowed."""
    kind, name = documents.document_of(proposal)
    current = documents.current_revision(proposal)
    if current is None:
        raise Superseded(f"The {kind.words} {name} is no longer in the configuration.")
    if current != proposal.base_revision:
        raise Superseded(
            f"The {kind.words} {name} has revision {current} now, and this proposal was made "
            f"against revision {proposal.base_revision}. Make a new one."
        )
    edit.ensure_sees_all(kind, name, actor=actor)


def ensure_still_allowed(proposal: StrategyProposal, actor: Actor) -> None:
    """Raise NotAllowed if ``actor`` has lost something while this waited for the lock."""
    namespaces = None if proposal.namespace is None else [proposal.namespace]
    if lost := still_allowed.lost(Initiator.of(actor), Scope.REVIEW, namespaces):
        raise NotAllowed(f"Nothing was decided: {lost}.")


def _expired(proposal: StrategyProposal) -> str:
    assert proposal.expires_at is not None  # noqa: S101 - it has expired
    return f"The time to decide this ended at {_to_second(proposal.expires_at)}: that is a no."


def _to_second(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
