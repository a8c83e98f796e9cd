"""The admin site."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial, wraps
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.admin.exceptions import (
    DisallowedModelAdminLookup,
    DisallowedModelAdminToField,
)
from django.contrib.auth.models import User
from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import PermissionDenied
from django.db import DataError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from governance.access import devices
from governance.access.lockout import LockedOut, LoginsBusy
from governance.access.own_password import OwnPasswordForm
from governance.access.roles import Scope
from governance.console import pages
from governance.console.base import NotHere, actor_of, draw
from governance.kernel import availability
from governance.kernel.errors import Kind, OrbitError
from governance.kernel.statement_limit import statement_limit
from orbit_site import error_pages, namespace_links, preferences
from orbit_site.console import destination, frame
from orbit_site.overview import dashboard

#: view_on_site tells any user whether a row of any table exists.
_REMOVED_URLS = {"view_on_site"}
#: No statement of a page that only shows something may take longer, so that pages can't hold the
#: web server's threads.
READ_SECONDS = 3.0
_LOGGED_OUT = (
    "You were logged out, so nothing was saved. Log in: the form comes back with your text. "
    "Without scripts, go back in your browser instead."
)
_CHANGE_TEMPLATE = "registration/password_change_form.html"


class OrbitAdminSite(AdminSite):
    """Django's admin without Django-Q2's pages."""

    site_header = site_title = "Orbit"
    index_title = "Console"
    site_url = None
    app_index_template = "console/tables.html"
    #: The menu is ours: orbit_site.console.menu.
    enable_nav_sidebar = False
    final_catch_all_view = False

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        models = (
            model_or_iterable
            if isinstance(model_or_iterable, list | tuple)
            else [model_or_iterable]
        )
        # Django-Q2's pages unpickle rows, and their actions run the function that a row names.
        ours = [model for model in models if model._meta.app_label != "django_q"]
        if ours:
            super().register(ours, admin_class, **options)

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and actor_of(request).may(Scope.READ)

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        answer: HttpResponse = self._unless_locked(
            request, partial(super().login, request, extra_context)
        )
        if request.method == "POST" and answer.status_code == HTTPStatus.FOUND:
            answer["Location"] = destination.after_login(request, self.name)
            if isinstance(request.user, User):
                devices.remember(request, answer, request.user.pk)
        return answer

    def _unless_locked(self, request: HttpRequest, check: Callable[[], Any]) -> Any:
        try:
            return check()
        except LockedOut as locked:
            return error_pages.locked_out(request, locked)
        except LoginsBusy as busy:
            return error_pages.logins_busy(request, busy)

    def each_context(self, request: HttpRequest) -> Any:
        may = {scope: actor_of(request).may(scope) for scope in Scope}
        context = {**super().each_context(request), "may": may}
        if not context["has_permission"] or "HX-Request" in request.headers:
            # An open page that polls has its frame already.
            return context
        return {**context, "banners": frame.of(request).banners, "frame": frame.of(request)}

    def index(self, request: HttpRequest, extra_context: Any = None) -> Any:
        seen = frame.of(request)
        look = dashboard.look(actor_of(request), seen.read, seen.banners)
        if request.headers.get("X-Look") == look:
            return HttpResponse(status=HTTPStatus.NO_CONTENT)
        board = dashboard.of(seen.overview, actor=actor_of(request))
        if "HX-Request" in request.headers:  # an open page looks again, and needs no frame
            part = {"board": board, "look": look, "fresh": seen.banners}
            return TemplateResponse(request, "console/_dashboard.html", part)
        title = board.summary.sentence
        return draw(request, "admin/index.html", title=title, board=board, look=look)

    def get_urls(self) -> Any:
        return pages.urls(self) + [
            url for url in super().get_urls() if getattr(url, "name", None) not in _REMOVED_URLS
        ]

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        context = {**self.each_context(request), **(extra_context or {})}
        view = PasswordChangeView.as_view(
            form_class=partial(OwnPasswordForm, request=request),
            success_url=reverse("admin:password_change_done", current_app=self.name),
            extra_context=context,
            template_name=self.password_change_template or _CHANGE_TEMPLATE,
        )
        request.current_app = self.name
        return self._unless_locked(request, partial(view, request))

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        inner: Callable[..., HttpResponse] = super().admin_view(view, cacheable)

        @wraps(inner)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            # Values that no column can hold are the client's error: 400, not 500.
            values = [
                request.path,
                unquote(request.META.get("QUERY_STRING", "")),
                *(value for _, items in request.POST.lists() for value in items),
            ]
            if any("\x00" in text for text in values):
                return error_pages.bad_request(request)
            reads = request.method in {"GET", "HEAD"}
            try:
                with (
                    timezone.override(preferences.zone(request)),
                    statement_limit(READ_SECONDS) if reads else nullcontext(),
                ):
                    response = inner(request, *args, **kwargs)
                    # Render here: change lists run their queries only now.
                    if hasattr(response, "render") and not getattr(response, "is_rendered", True):
                        response = response.render()
            except DataError as error:
                if not availability.refuses_value(error):
                    raise
                return error_pages.bad_request(request)
            except (DisallowedModelAdminLookup, DisallowedModelAdminToField) as error:
                # Django would log a traceback for every mistyped address.
                return error_pages.unknown_filter(request, error)
            except OrbitError as error:
                raise _for_a_page(error) from None
            if request.method == "POST" and not request.user.is_authenticated:
                messages.warning(request, _LOGGED_OUT)
            return namespace_links.keep(request, response)

        return guarded


def _for_a_page(error: OrbitError) -> Exception:
    """Return what Django turns into the page of a refusal."""
    if error.kind == Kind.DENIED:
        return PermissionDenied(error.detail)
    return NotHere(error.detail) if error.kind == Kind.MISSING else error
