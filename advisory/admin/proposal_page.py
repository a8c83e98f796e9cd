"""The page of one proposal: what changes and why, and the form to decide it."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from advisory.admin import backtest, signal_page, words
from advisory.admin.backtest import Summary
from advisory.admin.decision_form import DecisionForm
from advisory.decisions import decide, detail, digest, probation
from advisory.decisions.digest import Seen
from advisory.models import ProposalDecision, StrategyProposal
from advisory.proposals import documents, patches, reading
from advisory.proposals.checks import Examined
from advisory.states import Proposal, Verdict
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.console import line_diff, pages
from governance.console.actions import ReasonForm
from governance.console.base import actor_of
from governance.kernel import identifiers
from governance.kernel.errors import Kind, OrbitError
from orbit.profiles import history
from orbit.profiles.kinds import AnyKind, AnyRow

_STATUS = {Kind.CONFLICT: 409, Kind.DENIED: 403, Kind.STALE: 409}


def page(request: HttpRequest, proposal: StrategyProposal) -> HttpResponse:
    """Show ``proposal``, which the user sees; on POST decide it. Raises PermissionDenied."""
    actor = actor_of(request)
    status = 200
    form = DecisionForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        if not actor.may(Scope.REVIEW):
            raise PermissionDenied
        status = 400
        if form.is_valid():
            refusal = _decide(request, proposal.pk, form)
            if refusal is None:
                return HttpResponseRedirect(request.path)
            status = _STATUS.get(refusal.kind, 400)
            messages.error(request, refusal.detail)
            # It may have been decided, or superseded, just now.
            proposal.refresh_from_db()
    return pages.draw(
        request,
        "admin/advisory/proposal.html",
        title=proposal.title,
        status=status,
        opts=StrategyProposal._meta,
        form=form,
        **_context(proposal, actor),
    )


def confirm(request: HttpRequest, proposal: StrategyProposal) -> HttpResponse:
    """End the probation of ``proposal``, which the user sees: the change stays."""
    back = HttpResponseRedirect(
        reverse("admin:advisory_strategyproposal_change", args=[proposal.pk])
    )
    if request.method != "POST":
        return back
    actor = actor_of(request)
    if not actor.may(Scope.REVIEW):
        raise PermissionDenied
    try:
        probation.confirm(proposal.pk, actor=actor, reason=request.POST.get("reason", ""))
    except OrbitError as refusal:
        messages.error(request, refusal.detail)
    else:
        messages.success(request, "Confirmed: the change stays.")
    return back


def _decide(request: HttpRequest, proposal_id: UUID, form: DecisionForm) -> OrbitError | None:
    """Decide, and return the refusal."""
    values = form.cleaned_data
    try:
        outcome = decide.decide(
            proposal_id,
            Verdict(values["verdict"]),
            actor=actor_of(request),
            reason=values["reason"],
            # Also if it is missing: a page is decided only as it was shown.
            seen_sha256=values["seen"],
            probation=form.terms(),
            # A form that is sent twice decides once.
            call=values["call"],
        )
    except OrbitError as refusal:
        return refusal
    messages.success(request, outcome.sentence)
    return None


def _context(proposal: StrategyProposal, actor: Actor) -> dict[str, Any]:
    decisions = list(proposal.decisions.order_by("decided_at", "id"))
    kind, name = documents.document_of(proposal)
    ending = words.ending(proposal, decisions)
    seen = None if ending else digest.seen(proposal, actor=actor)
    row = seen.examined.row if seen else kind.lookup(name, actor=actor, document=False)
    if not ending and (ending := _outdated(proposal, kind, row)):
        seen = None
    why_not = "" if seen is None else _why_not(proposal, decisions, seen.examined, actor)
    changes, problem = _changes(proposal, seen, actor)
    return {
        "proposal": proposal,
        "author": words.author(proposal),
        "document": words.document(proposal),
        "state": str(_state(proposal, ending)),
        "needs": words.needs(proposal),
        "expiry": "" if ending else words.expiry(proposal),
        "approvals": words.approvals(proposal, decisions),
        "decisions": decisions,
        "ending": ending,
        "why_not": why_not,
        "may_decide": seen is not None and not why_not,
        "checks": [] if seen is None else seen.examined.checks,
        "diff": changes,
        "problem": problem,
        "seen": "" if seen is None else seen.sha256,
        "call": identifiers.uuid7(),
        "backtest": _backtest(seen, decisions),
        "may_confirm": actor.may(Scope.REVIEW) and not reading.is_own(proposal, actor=actor),
        "confirm_form": ReasonForm(),
        "follow_up": detail.follow_up(proposal),
        **_links(proposal, row),
        **({} if proposal.signal is None else signal_page.shown(proposal.signal, actor)),
    }


def _changes(
    proposal: StrategyProposal, seen: Seen | None, actor: Actor
) -> tuple[line_diff.LineDiff | None, str]:
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
        return None if seen.backtest is None else backtest.summary(seen.backtest)
    kept = decisions[-1].seen.get("backtest") if decisions else None
    return None if kept is None else backtest.summary(kept)


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


def _links(proposal: StrategyProposal, row: AnyRow | None) -> dict[str, str]:
    """Return the addresses of the document and of the revision to roll back to."""
    if row is None:
        return {}
    model = "profile" if proposal.run_profile_id is None else "runprofile"
    links = {"document_link": reverse(f"admin:orbit_{model}_change", args=[row.pk])}
    if proposal.state == Proposal.APPROVED:
        revision = [row.pk, proposal.base_revision]
        links["roll_back_link"] = reverse(f"admin:orbit_{model}_revision", args=revision)
    return links
