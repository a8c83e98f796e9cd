"""What there is: every route, every address of the console, every action, every deed of a command, read from the code."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.urls import URLPattern, URLResolver, get_resolver

from governance.console.actions import ReasonedAction, ReasonedAdmin
from orbit_site import permissions

OURS = {"governance", "orbit", "orbit_site", "telemetry"}
WRITING = ("post", "put", "patch", "delete")


def _below(patterns: list[Any], before: str) -> Iterator[tuple[str, URLPattern]]:
    for found in patterns:
        if isinstance(found, URLResolver):
            yield from _below(found.url_patterns, before + str(found.pattern))
        else:
            yield before + str(found.pattern), found


def addresses() -> list[tuple[str, URLPattern]]:
    """Every address as its pattern."""
    return list(_below(get_resolver().url_patterns, ""))


def api() -> dict[str, Any]:
    """Every route outside of the console, with its view's class, None for a plain function."""
    return {
        pattern: getattr(found.callback, "view_class", None)
        for pattern, found in addresses()
        if pattern and not pattern.startswith("admin/")
    }


def reading() -> list[str]:
    return sorted(route for route, view in api().items() if view is None or hasattr(view, "get"))


def writing() -> list[str]:
    """Every route that may change something, as ``METHOD route``."""
    return sorted(
        f"{method.upper()} {route}"
        for route, view in api().items()
        for method in WRITING
        if view is not None and hasattr(view, method)
    )


def console() -> dict[str, str]:
    """Every address of the console by its name; those that only lead to another one have none."""
    return {
        str(found.name): pattern
        for pattern, found in addresses()
        if pattern.startswith("admin/") and found.name
    }


def of_tables() -> set[str]:
    """The names of the addresses that the stock admin gives to every table."""
    tables = [f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry]
    return {
        f"{table}_{page}"
        for table in tables
        for page in ("changelist", "add", "history", "delete", "change")
    }


def drawn_by_us() -> set[str]:
    """The names of the addresses of tables whose page isn't the stock admin's: it might do anything."""
    return {
        f"{model._meta.app_label}_{model._meta.model_name}_{page}"
        for model, shown in admin.site._registry.items()
        for page in ("changelist", "add", "history", "delete", "change")
        if not getattr(type(shown), f"{page}_view").__module__.startswith("django.")
        and getattr(type(shown), f"{page}_view") is not getattr(ReasonedAdmin, f"{page}_view")
    }


def actions() -> dict[str, tuple[type[Model], ReasonedAction]]:
    """Every action that asks for a reason, by the name of its address."""
    return {
        f"{model._meta.app_label}_{model._meta.model_name}_{action.name}": (model, action)
        for model, shown in admin.site._registry.items()
        if isinstance(shown, ReasonedAdmin)
        for action in shown._all()
    }


def commands() -> list[str]:
    """Every deed of every command of ours: ``user create``, or ``trigger`` where a command does one thing."""
    return permissions.commands()
