"""The pages of a profile or run profile: its editor, its revisions, the roll-back to one."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from governance.access.roles import Scope
from governance.console import pages
from governance.console.actions import ReasonForm
from governance.console.base import actor_of, draw
from governance.kernel import clock, json_diff
from orbit.errors import RevisionUnknown
from orbit.profiles import edit, editor, history
from orbit.profiles.expected import NEW, exactly
from orbit.profiles.kinds import PROFILE, AnyKind
from orbit.schedules import runs

#: A user with one of these may propose a change.
_PROPOSING = (Scope.OPERATE, Scope.REVIEW, Scope.CONFIGURE)


def edit_page(
    request: HttpRequest, kind: AnyKind, row: Any, *, buttons: list[dict[str, str]], may: bool
) -> HttpResponse:
    """Show ``row``, or an empty form for None; on POST check, preview, combine or save.

    Raises PermissionDenied and BadRequest.
    """
    if (row is None or request.method == "POST") and not may:
        raise PermissionDenied
    actor, proposable = actor_of(request), row is not None and not row.hidden
    context: dict[str, Any] = {
        "kind": kind,
        "row": row,
        "may_edit": may,
        "buttons": buttons,
        "may_propose": proposable and actor.may(*_PROPOSING),
        "opts": kind.rows._meta,
    }
    if may:
        pressed = editor.press(kind, row, request.POST, actor=actor)
        context |= {name: getattr(pressed, name) for name in editor.SHOWN}
        if pressed.saved:
            messages.success(request, pressed.saved)
            return redirect(address(kind, kind.find(pressed.name, actor=actor), "change"))
        if "_check" in request.POST and request.headers.get("HX-Request"):
            return TemplateResponse(request, "console/_checked.html", {**context, "live": True})
        if pressed.preview:
            names = kind, pressed.name, pressed.document, row.document if row else {}
            context["effects"] = runs.effects(*names, actor=actor, now=clock.now())
    title = f"Add {kind.words}" if row is None else f"{kind.words.capitalize()} {row}"
    return draw(request, "console/document.html", title=title, **context)


def address(kind: AnyKind, row: Any, name: str) -> str:
    """Return the address of the page ``name`` of ``row``."""
    model = "profile" if kind is PROFILE else "runprofile"
    return reverse(f"admin:orbit_{model}_{name}", args=[row.pk])


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
    may = actor.may(Scope.CONFIGURE) and (row.hidden or edit.may_edit(row, actor=actor))
    if request.method == "POST" and not may:
        raise PermissionDenied
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
    return draw(
        request,
        "console/revision.html",
        title=f"Revision {number} of {row}",
        kind=kind,
        row=row,
        revision=revision,
        changes=changes,
        form=form,
        may_roll_back=may and (bool(changes) or row.hidden or form.is_bound),
        opts=kind.rows._meta,
    )
