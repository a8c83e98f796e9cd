"""Pages of the console without a table, registered by the modules of ``admin`` rooms."""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, TypeVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, path

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.console.base import actor_of, draw
from governance.kernel.errors import Kind, OrbitError

#: A response, or what the page's template shows.
Answer = HttpResponse | dict[str, Any]
View = Callable[..., Answer]
V = TypeVar("V", bound=View)


@dataclass(frozen=True)
class page:
    """Registers ``view(request, **parts of the address)`` as a page.

    It returns a response, or what ``template`` shows.
    """

    #: Below ``/admin/``. The page's name for ``reverse`` is made from it.
    address: str
    title: str
    template: str = ""
    _: KW_ONLY
    name: str = ""
    scope: Scope = Scope.READ
    #: The scope that its form needs; None: it has no form.
    sends: Scope | None = None
    #: Hidden from users who are confined to namespaces.
    workspace: bool = False
    view: View | None = None

    def __call__(self, view: V) -> V:
        words = [word for word in self.address.split("/") if word and not word.startswith("<")]
        _registered.append(replace(self, name=self.name or "_".join(words), view=view))
        return view

    def open_to(self, actor: Actor) -> bool:
        """Return whether ``actor`` may see the page."""
        return actor.may(self.scope) and (actor.namespaces is None or not self.workspace)

    def show(self, request: HttpRequest, **parts: Any) -> HttpResponse:
        """Answer a request for the page. Raises PermissionDenied."""
        actor = actor_of(request)
        if self.view is None or not self.open_to(actor):
            raise PermissionDenied
        if request.method == "POST":
            if self.sends is None:
                return HttpResponseNotAllowed(["GET", "HEAD"])
            actor.require(self.sends)
        answer = self.view(request, **parts)
        if isinstance(answer, HttpResponse):
            return answer
        return draw(request, self.template, **{"title": self.title, **answer})


_registered: list[page] = []


def registered() -> tuple[page, ...]:
    """Return every page."""
    return tuple(_registered)


def urls(site: admin.AdminSite) -> list[URLPattern]:
    """Return the addresses of all pages, behind the login and their scopes."""
    return [path(page.address, site.admin_view(page.show), name=page.name) for page in _registered]


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
        form.add_error((by_code or {}).get(error.code, refused_at), error.sentences)
        return False
    messages.success(request, message)
    return True


def tried(request: HttpRequest, act: Callable[[], str]) -> bool:
    """Run ``act``; show its message or the refusal's first line.

    Raises a refusal of the kind "missing".
    """
    try:
        message = act()
    except OrbitError as error:
        if error.kind == Kind.MISSING:
            raise
        messages.error(request, error.detail.splitlines()[0])
        return False
    messages.success(request, message)
    return True
