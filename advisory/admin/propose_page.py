"""The page on which a user proposes a change of a profile: its editor, without saving it."""

from typing import Any

import jsonpatch
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from advisory.models import StrategyProposal
from advisory.proposals import create, proposal_form
from advisory.proposals.proposal_form import ProposalForm
from governance.access.actors import Actor
from governance.console import pages
from governance.console.base import actor_of
from governance.kernel import line_diff
from governance.kernel.errors import OrbitError
from orbit.profiles.kinds import PROFILE, RUN_PROFILE, AnyKind, AnyRow

KINDS: dict[str, AnyKind] = {"profile": PROFILE, "runprofile": RUN_PROFILE}


def may_propose(actor: Actor) -> bool:
    """Return whether ``actor`` has one of the permissions to propose a change."""
    return any(actor.may(scope) for scope in create.USERS_SCOPES)


def page(request: HttpRequest, noun: str, pk: int) -> HttpResponse:
    """Show the form for the document; on POST preview or make the proposal.

    Raises Http404, PermissionDenied and BadRequest.
    """
    actor = actor_of(request)
    if not may_propose(actor):
        raise PermissionDenied
    kind = KINDS.get(noun)
    row = None if kind is None else kind.visible_to(actor).filter(pk=pk).first()
    if kind is None or row is None:
        raise Http404
    form = proposal_form.of(
        kind, row, request.POST if request.method == "POST" else None, actor=actor
    )
    context: dict[str, Any] = {}
    if form.is_valid() and (document := form.merged()) is not None:
        if document == form.base and "_preview" not in request.POST:
            form.add_error(None, "This changes nothing yet. Change a field, then propose it.")
        elif "_preview" in request.POST:
            context["diff"] = line_diff.compare(form.base, document)
        elif proposal := _make(request, kind, row, form, document):
            return redirect("admin:advisory_strategyproposal_change", proposal.pk)
    return pages.draw(
        request,
        "admin/advisory/propose.html",
        title=f"Propose a change to {row}",
        form=form,
        row=row,
        kind=kind,
        document_link=reverse(f"admin:orbit_{noun}_change", args=[row.pk]),
        list_link=reverse(f"admin:orbit_{noun}_changelist"),
        **context,
    )


def _make(
    request: HttpRequest,
    kind: AnyKind,
    row: AnyRow,
    form: ProposalForm,
    document: dict[str, Any],
) -> StrategyProposal | None:
    try:
        made = create.propose(
            kind,
            str(row),
            jsonpatch.make_patch(form.base, document).patch,
            actor=actor_of(request),
            rationale=form.cleaned_data["reason"],
            title=form.cleaned_data["title"],
            base_revision=form.cleaned_data["revision"],
        )
    except OrbitError as refusal:
        for text in [error["detail"] for error in refusal.errors] or [refusal.detail]:
            form.add_error(None, text)
        return None
    messages.success(
        request,
        "Your proposal waits for a reviewer."
        if made.created
        else "The same change was proposed already: this is that proposal.",
    )
    return made.proposal
