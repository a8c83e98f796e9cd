"""The page on which a user proposes a change of a profile: its editor, without saving it."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from advisory.proposals import create, proposal_form
from governance.console.base import actor_of, draw
from governance.kernel import line_diff
from governance.kernel.errors import OrbitError
from orbit.profiles.kinds import PROFILE, RUN_PROFILE, AnyKind

KINDS: dict[str, AnyKind] = {"profile": PROFILE, "runprofile": RUN_PROFILE}


def page(request: HttpRequest, noun: str, pk: int) -> HttpResponse:
    """Show the form for the document; on POST preview or make the proposal.

    Raises Http404, NotAllowed and BadRequest.
    """
    actor, kind = actor_of(request), KINDS.get(noun)
    actor.require(*create.USERS_SCOPES)
    row = None if kind is None else kind.visible_to(actor).filter(pk=pk).first()
    if kind is None or row is None:
        raise Http404
    data = request.POST if request.method == "POST" else None
    form = proposal_form.of(kind, row, data, actor=actor)
    context: dict[str, Any] = {}
    if form.is_valid() and (document := form.merged()) is not None:
        if "_preview" in request.POST:
            context["diff"] = line_diff.compare(form.base, document)
        elif document == form.base:
            form.add_error(None, "This changes nothing yet. Change a field, then propose it.")
        else:
            try:
                made = proposal_form.propose(kind, row, form, document, actor=actor)
            except OrbitError as refusal:
                details = [error["detail"] for error in refusal.errors] or [refusal.detail]
                form.add_error(None, details)
            else:
                messages.success(request, made.sentence)
                return redirect("admin:advisory_strategyproposal_change", made.proposal.pk)
    return draw(
        request,
        "admin/advisory/propose.html",
        title=f"Propose a change to {row}",
        form=form,
        row=row,
        kind=kind,
        opts=kind.rows._meta,
        **context,
    )
