"""What the page of one proposal shows to an actor."""

from dataclasses import dataclass, field

from advisory.backtest import in_words
from advisory.backtest.in_words import Summary
from advisory.decisions import detail, digest
from advisory.decisions.detail import FollowUp
from advisory.decisions.digest import Seen
from advisory.models import ProposalDecision, StrategyProposal
from advisory.proposals import documents, patches, reading, risk, words
from advisory.proposals.checks import Check, Examined
from advisory.states import Proposal
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.kernel import line_diff
from governance.kernel.errors import OrbitError
from governance.kernel.line_diff import LineDiff
from orbit.profiles import history
from orbit.profiles.kinds import AnyKind, AnyRow


@dataclass(frozen=True, slots=True)
class ProposalPage:
    """A proposal as one user sees it now."""

    proposal: StrategyProposal
    state: Proposal
    #: Author, document, "one approval needed", "expires in 3 h", "1 of 2 approvals".
    author: str
    document: str
    needs: str
    expiry: str
    approvals: str
    risks: list[str]
    decisions: list[ProposalDecision]
    #: How it ended; or why the actor can't decide it. Both empty: they may.
    ending: str
    why_not: str
    #: The document's row, if the actor sees it.
    row: AnyRow | None
    #: What changes, or why that can't be shown.
    diff: LineDiff | None
    problem: str
    backtest: Summary | None
    follow_up: FollowUp
    may_confirm: bool
    checks: list[Check] = field(default_factory=list)
    #: The digest of what a decision is made on.
    seen: str = ""

    @property
    def may_decide(self) -> bool:
        """Whether the actor has the buttons."""
        return not self.ending and not self.why_not


def read(proposal: StrategyProposal, *, actor: Actor) -> ProposalPage:
    """Return the page of ``proposal``, which ``actor`` sees."""
    decisions = list(proposal.decisions.order_by("decided_at", "id"))
    kind, name = documents.document_of(proposal)
    ending = words.ending(proposal, decisions)
    seen = None if ending else digest.seen(proposal, actor=actor)
    row = seen.examined.row if seen else kind.lookup(name, actor=actor, document=False)
    if not ending and (ending := _outdated(proposal, kind, row)):
        seen = None
    diff, problem = _changes(proposal, seen, actor)
    return ProposalPage(
        proposal=proposal,
        state=_state(proposal, ending),
        author=words.author(proposal),
        document=words.document(proposal),
        needs=words.needs(proposal),
        expiry="" if ending else words.expiry(proposal),
        approvals=words.approvals(proposal, decisions),
        risks=risk.marks(proposal.patch),
        decisions=decisions,
        ending=ending,
        why_not="" if seen is None else _why_not(proposal, decisions, seen.examined, actor),
        row=row,
        diff=diff,
        problem=problem,
        backtest=_backtest(seen, decisions),
        follow_up=detail.follow_up(proposal),
        may_confirm=actor.may(Scope.REVIEW) and not reading.is_own(proposal, actor=actor),
        checks=[] if seen is None else seen.examined.checks,
        seen="" if seen is None else seen.sha256,
    )


def _changes(
    proposal: StrategyProposal, seen: Seen | None, actor: Actor
) -> tuple[LineDiff | None, str]:
    """Return what the proposal changes, or why that can't be shown."""
    kind, name = documents.document_of(proposal)
    try:
        before = None if seen is None else seen.examined.before
        if before is None:
            before = history.find(kind, name, proposal.base_revision, actor=actor).document
        return line_diff.compare(before, patches.apply(before, proposal.patch)), ""
    except OrbitError as error:
        return None, error.detail


def _backtest(seen: Seen | None, decisions: list[ProposalDecision]) -> Summary | None:
    """Return the backtest of now, or the one that the last reviewer saw."""
    if seen is not None:
        return None if seen.backtest is None else in_words.summary(seen.backtest)
    kept = decisions[-1].seen.get("backtest") if decisions else None
    return None if kept is None else in_words.summary(kept)


def _state(proposal: StrategyProposal, ending: str) -> Proposal:
    """Return its state of now: also before the sweep has written that it ended."""
    if proposal.state != Proposal.PENDING or not ending:
        return Proposal(proposal.state)
    return Proposal.EXPIRED if words.is_over(proposal) else Proposal.SUPERSEDED


def _outdated(proposal: StrategyProposal, kind: AnyKind, row: AnyRow | None) -> str:
    """Return who replaced the revision that the proposal changes; empty if it is current."""
    if row is None or row.revision == proposal.base_revision:
        return ""
    last = history.latest(kind, row)
    because = f": {last.reason}" if last.reason else ""
    return (
        f"Superseded: revision {last.number} of the {words.document(proposal)} was saved by "
        f"{last.author} at {words.moment(last.created_at)}{because}. This proposal was made "
        f"against revision {proposal.base_revision}, so it can't be approved any more."
    )


def _why_not(
    proposal: StrategyProposal,
    decisions: list[ProposalDecision],
    examined: Examined,
    actor: Actor,
) -> str:
    """Return why ``actor`` can't decide an open proposal; empty if it can."""
    if reading.is_own(proposal, actor=actor):
        return "This is your own proposal: another user has to decide it."
    if not actor.may(Scope.REVIEW):
        return "A reviewer or an administrator has to decide it."
    own = next((row for row in decisions if _is_by(row, actor)), None)
    if own is not None:
        return f"{words.own(own)} It has {words.approvals(proposal, decisions)}."
    unseen = [check for check in examined.checks if check.code == "namespaces_seen"]
    return f"{unseen[0].text}." if unseen else ""


def _is_by(decision: ProposalDecision, actor: Actor) -> bool:
    same_user = actor.user_id is not None and decision.decided_by_user == actor.user_id
    return same_user or decision.decided_by == actor.name
