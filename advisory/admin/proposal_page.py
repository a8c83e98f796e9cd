"""The page of one proposal: what changes and why, and the form to decide it."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect

from advisory.decisions import decide, probation
from advisory.decisions import page as reading
from advisory.decisions.decision_form import DecisionForm
from advisory.models import StrategyProposal
from advisory.signals import in_words
from advisory.states import Verdict
from governance.access.roles import Scope
from governance.console import pages
from governance.console.actions import ReasonForm
from governance.console.base import actor_of
from governance.kernel import identifiers
from governance.kernel.errors import Kind, OrbitError

_STATUS = {Kind.CONFLICT: 409, Kind.DENIED: 403, Kind.STALE: 409}


def page(
    request: HttpRequest, proposal: StrategyProposal, refused: ReasonForm | None = None
) -> HttpResponse:
    """Show ``proposal``, which the user sees; on POST decide it. Raises PermissionDenied.

    ``refused``: the form that ends a probation, with what was typed.
    """
    actor, status = actor_of(request), 200
    decides = request.method == "POST" and refused is None
    form = DecisionForm(request.POST if decides else None)
    if decides:
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
        page=reading.read(proposal, actor=actor),
        call=identifiers.uuid7(),
        confirm_form=refused or ReasonForm(),
        **({} if proposal.signal is None else in_words.parts(proposal.signal, actor=actor)),
    )


def confirm(request: HttpRequest, proposal: StrategyProposal) -> HttpResponse:
    """End the probation of ``proposal``, which the user sees: the change stays."""
    back = redirect("admin:advisory_strategyproposal_change", proposal.pk)
    if request.method != "POST":
        return back
    actor = actor_of(request)
    if not actor.may(Scope.REVIEW):
        raise PermissionDenied

    def act(reason: str) -> str:
        probation.confirm(proposal.pk, actor=actor, reason=reason)
        return "Confirmed: the change stays."

    form = ReasonForm(request.POST)
    return back if pages.done(request, form, act) else page(request, proposal, form)


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
