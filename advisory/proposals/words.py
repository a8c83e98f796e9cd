"""Sentences about proposals."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from advisory.models import ProposalDecision, StrategyProposal
from advisory.states import Proposal, Verdict
from governance.access.actors import SYSTEM
from governance.kernel import clock

_VERBS = {Verdict.APPROVE: "approved", Verdict.REJECT: "rejected"}


def author(proposal: StrategyProposal) -> str:
    """Return who wrote it: "the engine", or a user's name."""
    return "the engine" if proposal.author == SYSTEM.name else proposal.author


def document(proposal: StrategyProposal) -> str:
    """Return the changed document, such as "profile daily"."""
    if proposal.run_profile_id is not None:
        return f"run profile {proposal.run_profile_id}"
    return f"profile {proposal.profile_id}"


def approvals(proposal: StrategyProposal, decisions: Sequence[ProposalDecision]) -> str:
    """Return for example "1 of 2 approvals"."""
    given = sum(decision.verdict == Verdict.APPROVE for decision in decisions)
    needed = proposal.required_approvals
    return f"{given} of {needed} approval{'' if needed == 1 else 's'}"


def needs(proposal: StrategyProposal) -> str:
    """Return for example "one approval needed"."""
    needed = proposal.required_approvals
    return "one approval needed" if needed == 1 else f"{needed} approvals needed"


def expiry(proposal: StrategyProposal) -> str:
    """Return for example "expires in 3 h"; empty if it doesn't."""
    if proposal.expires_at is None:
        return ""
    left = proposal.expires_at - clock.now()
    return f"expires in {span(left)}" if left > timedelta() else "its time is over"


def age(proposal: StrategyProposal) -> str:
    """Return how long ago it was made, such as "5 h"."""
    return span(clock.now() - proposal.created_at)


def span(time: timedelta) -> str:
    """Return a length of time in its largest whole unit."""
    seconds = int(time.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size * (2 if unit == "d" else 1):
            return f"{seconds // size} {unit}"
    return f"{max(0, seconds)} s"


def moment(time: datetime | None) -> str:
    """Return a time to the second, with its zone."""
    return "-" if time is None else f"{timezone.localtime(time):%Y-%m-%d %H:%M:%S %Z}"


def is_over(proposal: StrategyProposal) -> bool:
    """Return whether its decision comes too late."""
    late = proposal.expires_at is not None and proposal.expires_at <= clock.now()
    return proposal.state != Proposal.PENDING or late


def decided(decision: ProposalDecision) -> str:
    """Return for example "approved by ann at 2026-01-31 06:00:00 UTC: it reads better"."""
    verb = _VERBS[Verdict(decision.verdict)]
    when = moment(decision.decided_at)
    return f"{verb} by {decision.decided_by} at {when}: {decision.reason}"


def own(decision: ProposalDecision) -> str:
    """Return for example "You approved it at 2026-01-31 06:00:00 UTC." to who decided so."""
    return f"You {_VERBS[Verdict(decision.verdict)]} it at {moment(decision.decided_at)}."


def ending(proposal: StrategyProposal, decisions: Sequence[ProposalDecision]) -> str:
    """Return how it ended, to the second; empty while it can be decided."""
    if proposal.state == Proposal.PENDING:
        if not is_over(proposal):
            return ""
        return f"Its time was over at {moment(proposal.expires_at)}: that means no."
    if proposal.state == Proposal.SUPERSEDED:
        because = proposal.end_reason or "the document has changed since"
        return f"Superseded at {moment(proposal.ended_at)}: {because}"
    if proposal.state == Proposal.EXPIRED:
        return f"Expired at {moment(proposal.ended_at)} without a decision: that means no."
    if not decisions:
        return f"{proposal.state.capitalize()} at {moment(proposal.ended_at)}."
    sentence = decided(decisions[-1])
    return sentence[0].upper() + sentence[1:]
