"""The page on which a profile or run profile is made or edited: form beside JSON, Preview, Save, and what happens when two save at once."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from governance.access.actors import NotAllowed
from governance.console import pages
from governance.console.base import actor_of
from governance.kernel import json_diff
from governance.kernel.errors import OrbitError
from orbit.admin import form_fields
from orbit.admin.document_form import DocumentForm
from orbit.errors import DocumentInvalid, RevisionUnknown, Stale
from orbit.profiles import edit, history, kinds, preview
from orbit.profiles.expected import NEW, exactly
from orbit.profiles.kinds import PROFILE, Kind

#: What a new document begins as.
_BLANK: dict[str, dict[str, Any]] = {
    "profile": {"profile_id": "", "label": "", "state": "enabled", "execution_rules": {"tiers": {}}, "value_tags": []},
    "run_profile": {
        "run_profile_id": "", "profile_id": "", "namespace": "", "state": "enabled", "execution_policy": {}, "distribution_targets": [], "value_tags": []},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Conflict:
    """Somebody saved ``theirs`` meanwhile: what they changed of what the person began with, and what the person's own version would change of theirs."""

    theirs: Any
    changed: list[json_diff.Change]
    overwritten: list[json_diff.Change]


def page(
    request: HttpRequest, kind: Kind, row: Any, *, buttons: list[dict[str, str]], may: bool
) -> HttpResponse:
    """Show ``row``, or an empty form for None; on POST preview or save what was typed. Only who ``may`` gets the form."""
    actor = actor_of(request)
    if (row is None or request.method == "POST") and not may:
        raise PermissionDenied
    context: dict[str, Any] = {"kind": kind, "row": row, "may": may, "buttons": buttons}
    if may:
        revision = 0 if row is None else row.revision
        base = _base(request, kind, row)
        saving = "_preview" not in request.POST
        form = DocumentForm(request.POST if request.method == "POST" else None, parts=form_fields.of(kind, actor, new=row is None), base=base, revision=revision,
                            wants_reason=saving)  # fmt: skip
        context["form"] = form
        if form.is_valid() and (document := form.merged()) is not None:
            done = (
                _save(request, kind, row, form, document, context)
                if saving
                else _preview(request, kind, row, form, document, context)
            )
            if done is not None:
                return done
    title = f"Add {kind.words}" if row is None else f"{kind.words.capitalize()} {row}"
    return pages.draw(
        request, "console/document.html", title=title, opts=kind.rows._meta, **context
    )


def _base(request: HttpRequest, kind: Kind, row: Any) -> dict[str, Any]:
    """Return the document that the page was made of: on POST that of the revision which the form names."""
    if row is None:
        return _BLANK[kind.noun]
    sent = request.POST.get("revision", "")
    if request.method != "POST" or sent == str(row.revision):
        return dict(row.document)
    try:
        return dict(history.one(kind, str(row), int(sent), actor=actor_of(request)).document)
    except (ValueError, RevisionUnknown):
        raise BadRequest("There is no such revision.") from None


def _name(kind: Kind, row: Any, document: dict[str, Any]) -> str:
    given = document.get(kind.key) if row is None else str(row)
    return given if isinstance(given, str) else ""


def _preview(
    request: HttpRequest,
    kind: Kind,
    row: Any,
    form: DocumentForm,
    document: dict[str, Any],
    context: dict[str, Any],
) -> HttpResponse | None:
    current = {} if row is None else row.document
    found = preview.preview(
        kind, _name(kind, row, document), document, current=current, actor=actor_of(request)
    )
    form.take(found.faults)
    context["preview"] = found
    return None


def _save(
    request: HttpRequest,
    kind: Kind,
    row: Any,
    form: DocumentForm,
    document: dict[str, Any],
    context: dict[str, Any],
) -> HttpResponse | None:
    """Save through the one door. A refusal is told on the page that was sent, with everything that was typed."""
    name, expected = (
        _name(kind, row, document),
        NEW if row is None else exactly(form.cleaned_data["seen"]),
    )
    try:
        done = edit.put(
            kind,
            name,
            document,
            actor=actor_of(request),
            source="admin",
            expected=expected,
            reason=form.cleaned_data["reason"],
        )
    except DocumentInvalid as refused:
        form.take(refused.errors)
    except Stale as refused:
        if row is None:
            form.add_error(kind.key, refused.detail)
        else:
            context["conflict"] = _conflict(request, kind, row, form, document)
    except NotAllowed:
        raise PermissionDenied from None
    except OrbitError as refused:
        form.add_error(None, refused.detail)
    else:
        said = (
            f"Revision {done.revision} of {name} saved."
            if done.changed
            else f"Nothing was changed: revision {done.revision} of {name} stands."
        )
        messages.success(request, said)
        return HttpResponseRedirect(
            address(kind, kinds.found(kind, name, actor=actor_of(request)), "change")
        )
    return None


def _conflict(
    request: HttpRequest, kind: Kind, row: Any, form: DocumentForm, document: dict[str, Any]
) -> _Conflict:
    """Return what the two versions are; from now on the person has seen the other one, and saving again puts theirs over it."""
    theirs = history.latest(kind, kinds.found(kind, str(row), actor=actor_of(request)))
    sent = request.POST.copy()
    sent["seen"] = str(theirs.number)
    form.data = sent
    return _Conflict(
        theirs,
        json_diff.changes(form.base, theirs.document),
        json_diff.changes(theirs.document, document),
    )


def address(kind: Kind, row: Any, name: str) -> str:
    """Return the address of a page of ``row``."""
    return reverse(
        f"admin:orbit_{'profile' if kind is PROFILE else 'runprofile'}_{name}", args=[row.pk]
    )
