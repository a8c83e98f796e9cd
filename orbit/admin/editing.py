"""The page that adds or edits a profile or run profile: form, JSON, Preview and Save.

If another user saved meanwhile, the page shows both versions and the user decides.
"""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from governance.access.actors import NotAllowed
from governance.access.roles import Scope
from governance.console import pages
from governance.console.base import actor_of
from governance.kernel import json_diff
from governance.kernel.errors import OrbitError
from orbit.admin import form_fields
from orbit.admin.document_form import DocumentForm
from orbit.errors import DocumentInvalid, RevisionUnknown, Stale
from orbit.profiles import edit, history
from orbit.profiles.edit import Preview
from orbit.profiles.expected import NEW, exactly
from orbit.profiles.kinds import PROFILE, AnyKind

#: A user with one of these may propose a change.
_PROPOSING = (Scope.OPERATE, Scope.REVIEW, Scope.CONFIGURE)
#: The documents that new ones start from.
_BLANK: dict[str, dict[str, Any]] = {
    "profile": {
        "profile_id": "",
        "label": "",
        "state": "enabled",
        "execution_rules": {"tiers": {}},
        "value_tags": [],
    },
    "run_profile": {
        "run_profile_id": "",
        "profile_id": "",
        "namespace": "",
        "state": "enabled",
        "execution_policy": {},
        "distribution_targets": [],
        "value_tags": [],
    },
}


@dataclass(frozen=True, slots=True)
class _Submission:
    """A document that was submitted for ``row`` (None: a new row)."""

    request: HttpRequest
    kind: AnyKind
    row: Any
    form: DocumentForm
    document: dict[str, Any]

    @property
    def name(self) -> str:
        """The id of the profile; empty if the document has no text there."""
        name = self.document.get(self.kind.key) if self.row is None else str(self.row)
        return name if isinstance(name, str) else ""


@dataclass(frozen=True, slots=True)
class _Conflict:
    """Another user saved the revision ``latest`` meanwhile."""

    latest: Any
    #: What that revision changed of the submission's base.
    changed: list[json_diff.Change]
    #: What saving the submission would change of that revision.
    overwritten: list[json_diff.Change]


def edit_page(
    request: HttpRequest, kind: AnyKind, row: Any, *, buttons: list[dict[str, str]], may: bool
) -> HttpResponse:
    """Show ``row``, or an empty form for None; on POST preview or save.

    Raises PermissionDenied and BadRequest.
    """
    if (row is None or request.method == "POST") and not may:
        raise PermissionDenied
    context: dict[str, Any] = {"kind": kind, "row": row, "may_edit": may, "buttons": buttons}
    context["may_propose"] = (
        row is not None and not row.hidden and any(map(actor_of(request).may, _PROPOSING))
    )
    if may:
        saving = "_preview" not in request.POST
        form = _form(request, kind, row, wants_reason=saving)
        context["form"] = form
        if form.is_valid() and (document := form.merged()) is not None:
            submission = _Submission(request, kind, row, form, document)
            if not saving:
                context["preview"] = _preview(submission)
            elif _save(submission, context):
                saved = kind.find(submission.name, actor=actor_of(request))
                return HttpResponseRedirect(address(kind, saved, "change"))
    title = f"Add {kind.words}" if row is None else f"{kind.words.capitalize()} {row}"
    return pages.draw(
        request, "console/document.html", title=title, opts=kind.rows._meta, **context
    )


def address(kind: AnyKind, row: Any, name: str) -> str:
    """Return the address of the page ``name`` of ``row``."""
    model = "profile" if kind is PROFILE else "runprofile"
    return reverse(f"admin:orbit_{model}_{name}", args=[row.pk])


def _form(request: HttpRequest, kind: AnyKind, row: Any, *, wants_reason: bool) -> DocumentForm:
    return DocumentForm(
        request.POST if request.method == "POST" else None,
        members=form_fields.members_of(kind, actor_of(request), new=row is None),
        base=_base(request, kind, row),
        revision=0 if row is None else row.revision,
        wants_reason=wants_reason,
    )


def _base(request: HttpRequest, kind: AnyKind, row: Any) -> dict[str, Any]:
    if row is None:
        return _BLANK[kind.noun]
    revision = request.POST.get("revision", "")
    if request.method != "POST" or revision == str(row.revision):
        return dict(row.document)
    # Fields are compared with what the user saw, which may not be the current revision.
    try:
        actor = actor_of(request)
        return dict(history.find(kind, str(row), int(revision), actor=actor).document)
    except (ValueError, RevisionUnknown):
        raise BadRequest("There is no such revision.") from None


def _preview(submission: _Submission) -> Preview:
    current = {} if submission.row is None else submission.row.document
    result = edit.preview(
        submission.kind,
        submission.name,
        submission.document,
        current=current,
        actor=actor_of(submission.request),
    )
    submission.form.show_faults(result.problems)
    return result


def _save(submission: _Submission, context: dict[str, Any]) -> bool:
    request, kind, form = submission.request, submission.kind, submission.form
    is_new = submission.row is None
    try:
        edited = edit.save(
            kind,
            submission.name,
            submission.document,
            actor=actor_of(request),
            source="admin",
            expected=NEW if is_new else exactly(form.cleaned_data["latest"]),
            reason=form.cleaned_data["reason"],
        )
    except DocumentInvalid as refusal:
        form.show_faults(refusal.errors)
    except Stale as refusal:
        if is_new:
            form.add_error(kind.key, refusal.detail)
        else:
            # Nothing is saved. The page shows the conflict.
            context["conflict"] = _conflict(submission)
    except NotAllowed:
        raise PermissionDenied from None
    except OrbitError as refusal:
        form.add_error(None, refusal.detail)
    else:
        messages.success(
            request,
            f"Revision {edited.revision} of {submission.name} saved."
            if edited.changed
            else f"Nothing changed: {submission.name} is at revision {edited.revision}.",
        )
        return True
    return False


def _conflict(submission: _Submission) -> _Conflict:
    request, kind, form = submission.request, submission.kind, submission.form
    row = kind.find(str(submission.row), actor=actor_of(request))
    latest = history.latest(kind, row)
    # The user sees the other version now: saving again overwrites it.
    data = request.POST.copy()
    data["latest"] = str(latest.number)
    form.data = data
    return _Conflict(
        latest,
        json_diff.changes(form.base, latest.document),
        json_diff.changes(latest.document, submission.document),
    )
