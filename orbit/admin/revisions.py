"""The pages of revisions: who saved what, the difference of any two, and the way back to one."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect

from governance.access.roles import Scope
from governance.console import pages
from governance.console.actions import ReasonForm
from governance.console.base import actor_of
from governance.kernel import json_diff
from governance.kernel.errors import OrbitError
from orbit.admin.editing import address
from orbit.errors import RevisionUnknown
from orbit.profiles import edit, history
from orbit.profiles.expected import NEW, exactly
from orbit.profiles.kinds import Kind

_PAGE = 50


class RestoreForm(ReasonForm):
    """Why, and over which revision."""

    over = forms.IntegerField(min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput())


def listing(request: HttpRequest, kind: Kind, row: Any) -> HttpResponse:
    """Show the revisions of ``row``, newest first, and the difference of the two that the address names as ``a`` and ``b``."""
    actor = actor_of(request)
    a, b, before = (_number(request.GET.get(name, "")) for name in ("a", "b", "before"))
    rows = history.listed(kind, str(row), actor=actor).defer("document")
    shown = list((rows if before is None else rows.filter(number__lt=before))[: _PAGE + 1])
    compared = None
    if a is not None and b is not None:
        try:
            compared = history.compare(kind, str(row), a, b, actor=actor)
        except RevisionUnknown as error:
            messages.error(request, error.detail)
    older = shown[_PAGE - 1].number if len(shown) > _PAGE else None
    return pages.draw(request, "console/revisions.html", title=f"Revisions of {row}", kind=kind, row=row, rows=shown[:_PAGE], older=older, compared=compared,
                      may=actor.may(Scope.CONFIGURE), opts=kind.rows._meta, a=a or "", b=b or "", a_text=str(a), b_text=str(b))  # fmt: skip


def one(request: HttpRequest, kind: Kind, row: Any, number: int) -> HttpResponse:
    """Show one revision beside the current one; on POST go back to it."""
    actor = actor_of(request)
    try:
        revision = history.one(kind, str(row), number, actor=actor)
    except RevisionUnknown:
        raise Http404 from None
    form = RestoreForm(
        request.POST if request.method == "POST" else None, initial={"over": row.revision}
    )
    if request.method == "POST" and not actor.may(Scope.CONFIGURE):
        raise PermissionDenied
    if form.is_valid():
        given = form.cleaned_data
        expected = NEW if row.hidden else exactly(given["over"])
        try:
            done = edit.roll_back(
                kind,
                str(row),
                number,
                actor=actor,
                source="admin",
                expected=expected,
                reason=given["reason"],
            )
        except OrbitError as error:
            for said in (
                error.detail,
                *(f"{fault['pointer']}: {fault['detail']}" for fault in error.errors),
            ):
                messages.error(request, said)
        else:
            messages.success(
                request, f"{row} is back to revision {number}, as revision {done.revision}."
            )
            return HttpResponseRedirect(address(kind, row, "change"))
    changes = json_diff.changes(row.document, revision.document)
    return pages.draw(request, "console/revision.html", title=f"Revision {number} of {row}", kind=kind, row=row, revision=revision, changes=changes, form=form,
                      may=actor.may(Scope.CONFIGURE) and (bool(changes) or row.hidden), opts=kind.rows._meta)  # fmt: skip


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
