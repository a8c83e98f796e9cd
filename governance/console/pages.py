"""Pages of the console that no table stands behind: each says where it is, what it is called, and who may see it.

A module of an ``admin`` room registers its pages; the site adds them to its addresses and to its menu.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.console.base import actor_of

View = Callable[..., HttpResponse]


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its address below ``/admin/``, its name for ``reverse``, its title, its place in the menu (None: none), and who may see it.

    ``sends`` is what sending its form needs, None where it has none. A page of the ``workspace`` is not for people who are confined to some namespaces.
    """

    address: str
    name: str
    title: str
    group: str | None
    scope: Scope
    workspace: bool
    view: View
    sends: Scope | None = None

    def open_to(self, actor: Actor) -> bool:
        """Tell whether ``actor`` may see it."""
        return actor.may(self.scope) and (actor.namespaces is None or not self.workspace)


_registered: list[Page] = []


def page(
    address: str,
    *,
    name: str,
    title: str,
    group: str | None = None,
    scope: Scope = Scope.READ,
    sends: Scope | None = None,
    workspace: bool = False,
) -> Callable[[View], View]:
    """Register ``view(request, **parts of the address)`` as a page."""

    def register(view: View) -> View:
        _registered.append(Page(address, name, title, group, scope, workspace, view, sends))
        return view

    return register


def registered() -> tuple[Page, ...]:
    """Return every page."""
    return tuple(_registered)


def urls(site: admin.AdminSite) -> list[URLPattern]:
    """Return the addresses of all pages, each behind the site's login and its own powers."""
    return [path(one.address, site.admin_view(_guarded(one)), name=one.name) for one in _registered]


def menu(actor: Actor) -> list[dict[str, Any]]:
    """Return the pages that ``actor`` may see, by group, in the form of the stock admin's list of apps."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for one in _registered:
        if one.group is not None and one.open_to(actor):
            entry: dict[str, Any] = {
                "name": one.title,
                "object_name": one.name,
                "admin_url": reverse(f"admin:{one.name}"),
                "add_url": None,
                "view_only": True,
                "perms": {},
            }
            groups.setdefault(one.group, []).append(entry)
    return [
        {
            "name": group,
            "app_label": f"pages-{group.lower()}",
            "app_url": models[0]["admin_url"],
            "has_module_perms": True,
            "models": models,
        }
        for group, models in groups.items()
    ]


def draw(
    request: HttpRequest, template: str, *, title: str, status: int = 200, **context: Any
) -> TemplateResponse:
    """Answer with ``template`` inside of the console's frame."""
    return TemplateResponse(
        request,
        template,
        {**admin.site.each_context(request), "title": title, **context},
        status=status,
    )


def _guarded(one: Page) -> View:
    def view(request: HttpRequest, **parts: Any) -> HttpResponse:
        if not one.open_to(actor_of(request)):
            raise PermissionDenied
        if request.method == "POST":
            if one.sends is None:
                return HttpResponseNotAllowed(["GET", "HEAD"])
            if not actor_of(request).may(one.sends):
                raise PermissionDenied
        return one.view(request, **parts)

    return view
