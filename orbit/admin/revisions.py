"""The pages of revisions: the list, the changes between two, and the roll-back."""

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
from orbit.profiles.kinds import AnyKind

_PAGE_SIZE = 50
#: A number of so many digits fits the column.
_MAX_DIGITS = 9


class RollBackForm(ReasonForm):
    """The reason, and the revision that the user saw as the current one."""

    over = forms.IntegerField(min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput())


def list_page(request: HttpRequest, kind: AnyKind, row: Any) -> HttpResponse:
    """Show the revisions of ``row``, and the changes between ``?a=`` and ``?b=``."""
    actor = actor_of(request)
    a, b, before = (_number(request.GET.get(name, "")) for name in ("a", "b", "before"))
    revisions = history.revisions(kind, str(row), actor=actor).defer("document")
    # By number, not by offset: a revision that is saved meanwhile shifts nothing.
    if before is not None:
        revisions = revisions.filter(number__lt=before)
    page = list(revisions[: _PAGE_SIZE + 1])
    comparison = None
    if a is not None and b is not None:
        try:
            comparison = history.compare(kind, str(row), a, b, actor=actor)
        except RevisionUnknown as error:
            messages.error(request, error.detail)
    return pages.draw(
        request,
        "console/revisions.html",
        title=f"Revisions of {row}",
        kind=kind,
        row=row,
        revisions=page[:_PAGE_SIZE],
        older=page[_PAGE_SIZE - 1].number if len(page) > _PAGE_SIZE else None,
        comparison=comparison,
        may_configure=actor.may(Scope.CONFIGURE),
        opts=kind.rows._meta,
        a=a or "",
        b=b or "",
        a_text=str(a),
        b_text=str(b),
    )


def revision_page(request: HttpRequest, kind: AnyKind, row: Any, number: int) -> HttpResponse:
    """Show a revision and what it would change; on POST roll back."""
    actor = actor_of(request)
    try:
        revision = history.find(kind, str(row), number, actor=actor)
    except RevisionUnknown:
        raise Http404 from None
    if request.method == "POST" and not actor.may(Scope.CONFIGURE):
        raise PermissionDenied
    form = RollBackForm(
        request.POST if request.method == "POST" else None, initial={"over": row.revision}
    )
    if form.is_valid() and _roll_back(request, kind, row, number, form.cleaned_data):
        return HttpResponseRedirect(address(kind, row, "change"))
    changes = json_diff.changes(row.document, revision.document)
    return pages.draw(
        request,
        "console/revision.html",
        title=f"Revision {number} of {row}",
        kind=kind,
        row=row,
        revision=revision,
        changes=changes,
        form=form,
        may_roll_back=actor.may(Scope.CONFIGURE) and (bool(changes) or row.hidden),
        opts=kind.rows._meta,
    )


def _roll_back(
    request: HttpRequest, kind: AnyKind, row: Any, number: int, values: dict[str, Any]
) -> bool:
    try:
        edited = edit.roll_back(
            kind,
            str(row),
            number,
            actor=actor_of(request),
            source="admin",
            expected=NEW if row.hidden else exactly(values["over"]),
            reason=values["reason"],
        )
    except OrbitError as refusal:
        messages.error(request, refusal.detail)
        for error in refusal.errors:
            messages.error(request, f"{error['pointer']}: {error['detail']}")
        return False
    messages.success(
        request, f"{row} is rolled back to revision {number}, saved as revision {edited.revision}."
    )
    return True


def _number(text: str) -> int | None:
    is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return int(text) if is_number else None
