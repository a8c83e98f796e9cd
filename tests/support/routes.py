"""Routes, console URLs, actions and commands, read from the code."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.urls import URLPattern, URLResolver, get_resolver

from governance.console.actions import ReasonedAdmin, reasoned_action
from orbit_site import permissions

WRITING = ("post", "put", "patch", "delete")


def _below(patterns: list[Any], before: str) -> Iterator[tuple[str, URLPattern]]:
    for item in patterns:
        if isinstance(item, URLResolver):
            yield from _below(item.url_patterns, before + str(item.pattern))
        else:
            yield before + str(item.pattern), item


def addresses() -> list[tuple[str, URLPattern]]:
    """Return every URL pattern with its full route."""
    return list(_below(get_resolver().url_patterns, ""))


def api() -> dict[str, Any]:
    """Return every route outside the console with its view class."""
    return {
        route: getattr(pattern.callback, "view_class", None)
        for route, pattern in addresses()
        if route and not route.startswith("admin/")
    }


def reading() -> list[str]:
    return sorted(route for route, view in api().items() if view is None or hasattr(view, "get"))


def query(route: str) -> set[str]:
    """Return the query parameters that GET of ``route`` declares."""
    return set(api()[route].operations["GET"].query)


def writing() -> list[str]:
    """Return every writing route as ``METHOD route``."""
    return sorted(
        f"{method.upper()} {route}"
        for route, view in api().items()
        for method in WRITING
        if view is not None and hasattr(view, method)
    )


def console() -> dict[str, str]:
    """Return every console URL by its name."""
    return {
        str(pattern.name): route
        for route, pattern in addresses()
        # Redirects have no name.
        if route.startswith("admin/") and pattern.name
    }


def of_tables() -> set[str]:
    """Return the URL names that Django's admin gives to every table."""
    tables = [f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry]
    return {
        f"{table}_{page}"
        for table in tables
        for page in ("changelist", "add", "history", "delete", "change")
    }


def drawn_by_us() -> set[str]:
    """Return the names of table URLs whose view isn't Django's."""
    return {
        f"{model._meta.app_label}_{model._meta.model_name}_{page}"
        for model, table in admin.site._registry.items()
        for page in ("changelist", "add", "history", "delete", "change")
        if not getattr(type(table), f"{page}_view").__module__.startswith("django.")
        and getattr(type(table), f"{page}_view") is not getattr(ReasonedAdmin, f"{page}_view")
    }


def actions() -> dict[str, tuple[type[Model], reasoned_action]]:
    """Return every reasoned action by its URL name."""
    return {
        f"{model._meta.app_label}_{model._meta.model_name}_{action.name}": (model, action)
        for model, table in admin.site._registry.items()
        if isinstance(table, ReasonedAdmin)
        for action in table.reasoned_actions()
    }


def commands() -> list[str]:
    """Return every command with its subcommands."""
    return permissions.commands()
