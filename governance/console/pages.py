"""Pages of the console without a table, registered by the modules of ``admin`` rooms."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.console.base import actor_of
from governance.kernel.errors import Kind, OrbitError

View = Callable[..., HttpResponse]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the console; see ``page``."""

    #: Below ``/admin/``.
    address: str
    #: For ``reverse``.
    name: str
    title: str
    scope: Scope
    #: Hidden from users who are confined to namespaces.
    workspace: bool
    view: View
    #: The scope that its form needs; None: it has no form.
    sends: Scope | None = None

    def open_to(self, actor: Actor) -> bool:
        """Return whether ``actor`` may see the page."""
        return actor.may(self.scope) and (actor.namespaces is None or not self.workspace)


_registered: list[Page] = []


def page(
    address: str,
    *,
    name: str,
    title: str,
    scope: Scope = Scope.READ,
    sends: Scope | None = None,
    workspace: bool = False,
) -> Callable[[View], View]:
    """Register ``view(request, **parts of the address)`` as a page."""

    def register(view: View) -> View:
        _registered.append(Page(address, name, title, scope, workspace, view, sends))
        return view

    return register


def registered() -> tuple[Page, ...]:
    """Return every page."""
    return tuple(_registered)


def urls(site: admin.AdminSite) -> list[URLPattern]:
    """Return the addresses of all pages, behind the login and their scopes."""
    return [
        path(page.address, site.admin_view(_with_permission(page)), name=page.name)
        for page in _registered
    ]


def draw(
    request: HttpRequest, template: str, *, title: str, status: int = 200, **context: Any
) -> TemplateResponse:
    """Render ``template`` in the console's frame."""
    return TemplateResponse(
        request,
        template,
        {**admin.site.each_context(request), "title": title, **context},
        status=status,
    )


def done(
    request: HttpRequest,
    form: forms.Form,
    act: Callable[..., str],
    *,
    refused_at: str | None = None,
    by_code: Mapping[str, str] | None = None,
) -> bool:
    """Run ``act(**fields)`` if the form was sent and is valid; show its message.

    A refusal is shown at the field that ``by_code`` gives for its code, else at ``refused_at``
    (None: at the form).
    """
    if not form.is_valid():
        return False
    try:
        message = act(**form.cleaned_data)
    except OrbitError as error:
        form.add_error((by_code or {}).get(error.code, refused_at), error.detail)
        return False
    messages.success(request, message)
    return True


def tried(request: HttpRequest, act: Callable[[], str]) -> bool:
    """Run ``act``; show its message or the refusal. Raises a refusal of the kind "missing"."""
    try:
        message = act()
    except OrbitError as error:
        if error.kind == Kind.MISSING:
            raise
        messages.error(request, error.detail)
        return False
    messages.success(request, message)
    return True


def _with_permission(page: Page) -> View:
    def view(request: HttpRequest, **parts: Any) -> HttpResponse:
        if not page.open_to(actor_of(request)):
            raise PermissionDenied
        if request.method == "POST":
            if page.sends is None:
                return HttpResponseNotAllowed(["GET", "HEAD"])
            if not actor_of(request).may(page.sends):
                raise PermissionDenied
        return page.view(request, **parts)

    return view
