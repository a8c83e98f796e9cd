"""The page that adds or edits a profile or run profile: form, JSON, Check, Preview and Save.

If another user saved meanwhile, the page shows all three versions and the user decides.
"""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from governance.access.actors import NotAllowed
from governance.access.roles import Scope
from governance.console.base import actor_of, draw
from governance.kernel import clock
from governance.kernel.errors import OrbitError
from orbit.errors import DocumentInvalid, Stale
from orbit.profiles import conflict, document_form, edit, members, validation
from orbit.profiles.document_form import DocumentForm
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
        form = context["form"] = _form(request, kind, row)
        document = form.merged() if form.is_valid() else None
        if document is not None and _act(request, kind, row, form, document, context):
            saved = kind.find(_name(kind, row, document), actor=actor)
            return redirect(address(kind, saved, "change"))
        if "_check" in request.POST and request.headers.get("HX-Request"):
            return TemplateResponse(request, "console/_checked.html", {**context, "live": True})
    title = f"Add {kind.words}" if row is None else f"{kind.words.capitalize()} {row}"
    return draw(request, "console/document.html", title=title, **context)


def address(kind: AnyKind, row: Any, name: str) -> str:
    """Return the address of the page ``name`` of ``row``."""
    model = "profile" if kind is PROFILE else "runprofile"
    return reverse(f"admin:orbit_{model}_{name}", args=[row.pk])


def _form(request: HttpRequest, kind: AnyKind, row: Any) -> DocumentForm:
    actor = actor_of(request)
    return DocumentForm(
        request.POST or None,
        members=members.members_of(kind, actor, new=row is None),
        base=document_form.base_of(kind, row, request.POST, actor=actor),
        revision=0 if row is None else row.revision,
        wants_reason=not {"_check", "_preview", "_combine"} & request.POST.keys(),
    )


def _name(kind: AnyKind, row: Any, document: dict[str, Any]) -> str:
    """Return the id of the profile; empty if the document has no text there."""
    name = document.get(kind.key) if row is None else str(row)
    return name if isinstance(name, str) else ""


def _act(
    request: HttpRequest,
    kind: AnyKind,
    row: Any,
    form: DocumentForm,
    document: dict[str, Any],
    context: dict[str, Any],
) -> bool:
    """Do what the pressed button says; return whether it was saved."""
    actor, name = actor_of(request), _name(kind, row, document)
    if "_check" in request.POST:
        form.show_faults(validation.all_problems(kind, name, document, actor=actor))
        context["checked"] = True
    elif "_preview" in request.POST:
        current = {} if row is None else row.document
        preview = edit.preview(kind, name, document, current=current, actor=actor)
        form.show_faults(preview.problems)
        if not preview.problems:
            context["preview"] = preview
            context["effects"] = runs.effects(
                kind, name, document, current, actor=actor, now=clock.now()
            )
    elif "_combine" in request.POST and row is not None:
        versions = conflict.compare(kind, name, base=form.base, own=document, actor=actor)
        context["combined"] = versions.latest
        context["form"] = DocumentForm(
            None,
            members=form.members,
            base=versions.latest.document,
            revision=versions.latest.number,
            wants_reason=True,
            shows=versions.combined,
            reason=form.cleaned_data["reason"],
        )
    else:
        return _save(request, kind, row, form, document, context)
    return False


def _save(
    request: HttpRequest,
    kind: AnyKind,
    row: Any,
    form: DocumentForm,
    document: dict[str, Any],
    context: dict[str, Any],
) -> bool:
    actor, name = actor_of(request), _name(kind, row, document)
    expected = NEW if row is None else exactly(form.cleaned_data["latest"])
    reason = form.cleaned_data["reason"]
    try:
        edited = edit.save(
            kind, name, document, actor=actor, source="admin", expected=expected, reason=reason
        )
    except DocumentInvalid as refusal:
        form.show_faults(refusal.errors)
    except Stale as refusal:
        if row is None:
            form.add_error(kind.key, refusal.detail)
            return False
        # Nothing is saved. The user sees the other version now: saving again overwrites it.
        versions = conflict.compare(kind, name, base=form.base, own=document, actor=actor)
        context["conflict"] = versions
        form.data = {**request.POST.dict(), "latest": str(versions.latest.number)}
    except NotAllowed:
        raise PermissionDenied from None
    except OrbitError as refusal:
        form.add_error(None, refusal.detail)
    else:
        number = edited.revision
        saved = f"Revision {number} of {name} saved."
        unchanged = f"Nothing changed: {name} is at revision {number}."
        messages.success(request, saved if edited.changed else unchanged)
        return True
    return False
