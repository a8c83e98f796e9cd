"""The pages of revisions: the list, the changes between two, and the roll-back."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from governance.access.roles import Scope
from governance.console import pages
from governance.console.actions import ReasonForm
from governance.console.base import actor_of, draw
from governance.kernel import json_diff
from orbit.admin.editing import address
from orbit.errors import RevisionUnknown
from orbit.profiles import edit, history
from orbit.profiles.expected import NEW, exactly
from orbit.profiles.kinds import AnyKind


class RollBackForm(ReasonForm):
    """The reason, and the revision that the user saw as the current one."""

    over = forms.IntegerField(min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput())


def list_page(request: HttpRequest, kind: AnyKind, row: Any) -> HttpResponse:
    """Show the revisions of ``row``, and the changes between ``?a=`` and ``?b=``."""
    query, comparison = request.GET, None
    a, b, before = (history.number_of(query.get(name, "")) for name in ("a", "b", "before"))
    revisions, older = history.page(kind, str(row), actor=actor_of(request), before=before)
    if a is not None and b is not None:
        try:
            comparison = history.compare(kind, str(row), a, b, actor=actor_of(request))
        except RevisionUnknown as error:
            messages.error(request, error.detail)
    return draw(
        request,
        "console/revisions.html",
        title=f"Revisions of {row}",
        kind=kind,
        row=row,
        revisions=revisions,
        older=older,
        comparison=comparison,
        opts=kind.rows._meta,
        a=a or "",
        b=b or "",
    )


def revision_page(request: HttpRequest, kind: AnyKind, row: Any, number: int) -> HttpResponse:
    """Show a revision and what it would change; on POST roll back."""
    actor = actor_of(request)
    revision = history.find(kind, str(row), number, actor=actor)
    if request.method == "POST":
        actor.require(Scope.CONFIGURE)
    form = RollBackForm(request.POST or None, initial={"over": row.revision})

    def act(reason: str, over: int) -> str:
        made = edit.roll_back(
            kind,
            str(row),
            number,
            actor=actor,
            source="admin",
            expected=NEW if row.hidden else exactly(over),
            reason=reason,
        )
        return f"{row} is rolled back to revision {number}, saved as revision {made.revision}."

    if pages.done(request, form, act):
        return redirect(address(kind, row, "change"))
    if form.is_bound:
        # The page shows the current revision now.
        form.data = {**request.POST.dict(), "over": str(row.revision)}
    changes = json_diff.changes(row.document, revision.document)
    rolls = bool(changes) or row.hidden or form.is_bound
    return draw(
        request,
        "console/revision.html",
        title=f"Revision {number} of {row}",
        kind=kind,
        row=row,
        revision=revision,
        changes=changes,
        form=form,
        may_roll_back=actor.may(Scope.CONFIGURE) and rolls,
        opts=kind.rows._meta,
    )
