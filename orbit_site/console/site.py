"""The one admin site."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import unquote

from django.contrib.admin import AdminSite
from django.db import DataError
from django.http import HttpRequest, HttpResponse

from governance import audit
from governance.access.lockout import LockedOut
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.console import pages
from governance.console.base import actor_of
from orbit_site import error_pages
from orbit_site.console import banner, header

#: Tells a stranger whether any row of any table exists.
_UNWANTED = {"view_on_site"}
_CHANGED = 302


class OrbitAdminSite(AdminSite):
    """The stock admin, without the pages of Django-Q2: its lists unpickle rows, and its actions run what a row names."""

    site_header = site_title = "Orbit"
    index_title = "Console"
    site_url = None
    enable_nav_sidebar = True
    final_catch_all_view = False

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Register as the stock site does; models of Django-Q2 are left out."""
        models = (
            model_or_iterable
            if isinstance(model_or_iterable, list | tuple)
            else [model_or_iterable]
        )
        ours = [model for model in models if model._meta.app_label != "django_q"]
        if ours:
            super().register(ours, admin_class, **options)

    def has_permission(self, request: HttpRequest) -> bool:
        """Let in people of the staff who may read."""
        return super().has_permission(request) and actor_of(request).may(Scope.READ)

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Let somebody log in; who tried too many wrong passwords is told until when."""
        try:
            return super().login(request, extra_context)
        except LockedOut as locked:
            return error_pages.locked_out(request, locked)

    def each_context(self, request: HttpRequest) -> Any:
        """Add the banners and Halt, for whoever is inside."""
        context = super().each_context(request)
        if not context["has_permission"]:
            return context
        actor = actor_of(request)
        return {
            **context,
            "banners": banner.standing(actor),
            "halting": header.halting(request, actor),
        }

    def get_urls(self) -> Any:
        """Add the pages that no table stands behind; leave out what nobody needs."""
        return pages.urls(self) + [
            url for url in super().get_urls() if getattr(url, "name", None) not in _UNWANTED
        ]

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> Any:
        """Put the pages before the tables."""
        tables = super().get_app_list(request, app_label)
        return tables if app_label else pages.menu(actor_of(request)) + tables

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Let people change their own password; that they did stands on the audit trail."""
        with audit.transaction():
            response = super().password_change(request, extra_context)
            if request.method == "POST" and response.status_code == _CHANGED:
                audit.record(
                    Action.USER_CHANGED,
                    actor=actor_of(request).name,
                    object_id=str(request.user.pk),
                    after={"changed": "own password"},
                )
        return response

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Wrap as the stock site does; what no column can hold is a bad request, not a fault."""
        inner: Callable[..., HttpResponse] = super().admin_view(view, cacheable)

        @wraps(inner)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            sent = [
                request.path,
                unquote(request.META.get("QUERY_STRING", "")),
                *(value for values in request.POST.lists() for value in values[1]),
            ]
            if any("\x00" in text for text in sent):
                return error_pages.bad_request(request)
            try:
                response = inner(request, *args, **kwargs)
                # Lists are read while the page is drawn: here, so that what they refuse is caught here.
                if hasattr(response, "render") and not getattr(response, "is_rendered", True):
                    response = response.render()
            except DataError:
                return error_pages.bad_request(request)
            return response

        return guarded
