"""The page that adds or edits a profile or run profile: form, JSON, Check, Preview and Save."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from governance.access.roles import Scope
from governance.console.base import actor_of, draw
from governance.kernel import clock
from orbit.profiles import editor
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
