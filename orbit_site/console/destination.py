"""Where a log-in leads: to the page that was asked for, if the user may see it."""

from urllib.parse import urlsplit

from django.http import HttpRequest
from django.urls import Resolver404, resolve, reverse
from django.utils.encoding import iri_to_uri
from django.utils.http import url_has_allowed_host_and_scheme

from governance.access import actors
from governance.console import pages

#: Addresses of the console that are no pages, or that would end the session again.
_NO_PAGES = {"login", "logout", "jsi18n", "autocomplete", "banners", "saved_pinned"}


def after_login(request: HttpRequest, site: str) -> str:
    """Return the path of ``next``, or of the console's first page."""
    index = reverse("admin:index", current_app=site)
    address = request.POST.get("next") or request.GET.get("next") or ""
    if not url_has_allowed_host_and_scheme(address, {request.get_host()}):
        return index
    # The actor from before the log-in is anonymous.
    request.console_actor = actors.of_user(request.user)  # type: ignore[attr-defined]
    parts = urlsplit(address)
    path = parts.path if _may_open(request, parts.path, index) else index
    # A header holds no other letters than ASCII's.
    return iri_to_uri(f"{path}?{parts.query}" if parts.query and path != index else path)


def _may_open(request: HttpRequest, path: str, index: str) -> bool:
    if not path.startswith(index):
        return False
    try:
        match = resolve(path)
    except Resolver404:
        return False
    if match.url_name in _NO_PAGES:
        return False
    table = getattr(match.func, "model_admin", None)
    if table is not None:
        return bool(table.has_view_permission(request))
    page = next((page for page in pages.registered() if page.name == match.url_name), None)
    return page is None or page.open_to(actors.of_user(request.user))
