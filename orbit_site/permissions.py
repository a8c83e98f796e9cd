"""Permissions by role, derived from what the code itself checks.

docs/permissions.md is made from it, and a test sends the request of each cell.
"""

import argparse
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.core.management import get_commands, load_command_class
from django.http import HttpRequest
from django.urls import URLPattern, get_resolver

from advisory.proposals import create
from advisory.signals import compute as signals
from governance.access.actors import Actor
from governance.access.roles import ROLES, SCOPES, Scope
from governance.console import pages
from governance.console.actions import ReasonedAdmin
from governance.rest import openapi

ANONYMOUS = "anonymous"
COLUMNS = (ANONYMOUS, *ROLES, *(f"token: {scope}" for scope in SCOPES))


@dataclass(frozen=True, slots=True)
class Form:
    """The scopes to open and to submit an admin class's form; of several, one is enough."""

    opens: Scope | tuple[Scope, ...]
    submits: Scope | tuple[Scope, ...] | None = None
    workspace: bool = False  # users who are confined to namespaces may not use it


#: Addresses of tables that are neither Django's nor a reasoned action, by URL name.
FORMS = {
    "advisory_advisorysignal_compute": Form(signals.SCOPES, signals.SCOPES),
    "advisory_strategyproposal_confirm": Form(Scope.READ, Scope.REVIEW),
    "advisory_strategyproposal_propose": Form(create.USERS_SCOPES, create.USERS_SCOPES),
    "auth_user_password_change": Form(Scope.ADMINISTER, Scope.ADMINISTER, workspace=True),
    "governance_audittrailentry_verify": Form(Scope.READ, workspace=True),
    "governance_audittrailentry_export": Form(Scope.READ),
    "orbit_deadletterdispatch_requeue_matching": Form(Scope.OPERATE, Scope.OPERATE),
    "orbit_deadletterdispatch_dismiss_matching": Form(Scope.OPERATE, Scope.OPERATE),
    "orbit_deadletterdispatch_seen": Form(Scope.OPERATE, Scope.OPERATE),
    "orbit_dispatchjob_payload": Form(Scope.READ),
    "orbit_profile_revision": Form(Scope.READ, Scope.CONFIGURE),
    "orbit_runprofile_revision": Form(Scope.READ, Scope.CONFIGURE),
}
OURS = {"advisory", "governance", "orbit", "orbit_site", "telemetry"}
_WORKSPACE_ONLY = "workspace only"
#: Requests outside of resources, pages and tables, with the columns that get an answer.
OPEN = dict.fromkeys(
    (
        "GET /health",
        "GET /ready",
        "GET /api/docs",
        "GET /api/docs/plain",
        "GET /api/docs/guide",
    ),
    COLUMNS,
)


@dataclass(frozen=True, slots=True)
class Row:
    """One request, and the columns that may send it."""

    kind: str
    method: str
    route: str
    may: frozenset[str]
    model: str | None = None
    note: str = ""


class Unlisted(ValueError):
    """FORMS lacks an address of the console."""


def rows() -> list[Row]:
    """Return the table. Raises Unlisted."""
    return [*_rest(), *_pages(), *_tables()]


def _holders(*scopes: Scope, tokens: bool = True) -> frozenset[str]:
    """Return the columns that have one of ``scopes``; without any, all columns."""
    if not scopes:
        return frozenset(COLUMNS)
    roles = {role for role, granted in ROLES.items() if not granted.isdisjoint(scopes)}
    return frozenset(roles | {f"token: {scope}" for scope in scopes if tokens and scope in SCOPES})


def _rest() -> Iterator[Row]:
    for request, may in OPEN.items():
        method, _, route = request.partition(" /")
        yield Row("REST", method, route, frozenset(may))
    for route, pattern in sorted(
        openapi.walk(get_resolver().url_patterns), key=lambda item: item[0]
    ):
        resource = openapi.resource_of(pattern)
        if resource is not None:
            for method in resource.operations:
                yield Row("REST", method, route, _holders(*openapi.scopes_of(resource, method)))


def _pages() -> Iterator[Row]:
    # They are registered in the order in which their modules happen to be imported.
    for page in sorted(pages.registered(), key=lambda page: page.address):
        note = _WORKSPACE_ONLY if page.workspace else ""
        yield Row(
            "page", "GET", f"admin/{page.address}", _holders(page.scope, tokens=False), note=note
        )
        if page.sends is not None:
            yield Row(
                "form",
                "POST",
                f"admin/{page.address}",
                _holders(page.scope, tokens=False) & _holders(page.sends, tokens=False),
                note=note,
            )


def _tables() -> Iterator[Row]:
    for model, table in sorted(admin.site._registry.items(), key=lambda item: item[0]._meta.label):
        label = model._meta.label
        place = f"admin/{model._meta.app_label}/{model._meta.model_name}/"
        seen, note = _who(table, "has_view_permission"), _note(table, "has_view_permission")
        yield Row("table", "GET", place, seen, label, note)
        yield from _changes(table, place, seen)
        actions = table.reasoned_actions() if isinstance(table, ReasonedAdmin) else []
        for action in actions:
            may = seen & _holders(action.scope, tokens=False)
            yield Row(
                f"action: {action.label}",
                "POST",
                f"{place}<path:object_id>/{action.name}/",
                may,
                label,
                note,
            )
        yield from _forms(table, place, {action.name for action in actions})


def _changes(table: Any, place: str, seen: frozenset[str]) -> Iterator[Row]:
    label = table.model._meta.label
    for route, verb in (
        ("add/", "add"),
        ("<path:object_id>/change/", "change"),
        ("<path:object_id>/delete/", "delete"),
    ):
        may, note = _who(table, f"has_{verb}_permission"), _note(table, f"has_{verb}_permission")
        if may and verb == "change" and may != seen:
            yield Row(
                "page", "GET", place + route, seen, label, _note(table, "has_view_permission")
            )
        if may:
            yield Row(verb, "POST", place + route, may, label, note)


def _forms(table: Any, place: str, actions: set[str]) -> Iterator[Row]:
    prefix = f"{table.opts.app_label}_{table.opts.model_name}_"
    listed = {
        prefix + name for name in {"changelist", "add", "history", "delete", "change"} | actions
    }
    for pattern in table.get_urls():
        if not isinstance(pattern, URLPattern) or pattern.name is None or pattern.name in listed:
            continue
        if pattern.name not in FORMS:
            raise Unlisted(f"Add the address {pattern.name!r} to FORMS.")
        form = FORMS[pattern.name]
        route, label, note = (
            place + str(pattern.pattern),
            table.opts.label,
            _WORKSPACE_ONLY if form.workspace else "",
        )
        opens = _holders(*_each(form.opens), tokens=False)
        if form.submits != form.opens:
            yield Row("page", "GET", route, opens, label, note)
        if form.submits is not None:
            may = opens & _holders(*_each(form.submits), tokens=False)
            yield Row("form", "POST", route, may, label, note)


def _each(scopes: Scope | tuple[Scope, ...]) -> tuple[Scope, ...]:
    return (scopes,) if isinstance(scopes, Scope) else scopes


def _who(table: Any, question: str, namespaces: frozenset[str] | None = None) -> frozenset[str]:
    return frozenset(role for role in ROLES if getattr(table, question)(_request(role, namespaces)))


def _note(table: Any, question: str) -> str:
    # Ask as users who are confined to namespaces.
    return "" if _who(table, question, frozenset({"somewhere"})) else _WORKSPACE_ONLY


def _request(role: str, namespaces: frozenset[str] | None) -> HttpRequest:
    request = HttpRequest()
    request.user = AnonymousUser()
    actor = Actor(name=role, user_id=None, scopes=ROLES[role], namespaces=namespaces)
    request.console_actor = actor  # type: ignore[attr-defined]
    return request


def commands() -> list[str]:
    """Return Orbit's commands with their subcommands."""
    names = []
    for name, app in get_commands().items():
        if app not in OURS:
            continue
        parser = load_command_class(str(app), name).create_parser("manage.py", name)
        subcommands = [
            list(action.choices or ())
            for action in parser._actions
            if isinstance(action, argparse._SubParsersAction)
        ]
        names += [f"{name} {verb}" for verb in subcommands[0]] if subcommands else [name]
    return sorted(names)


PAGE = """# Permissions by role

Made from the code by `make docs`; a test sends a request for every cell.

* A token acts as its owner, limited to its scopes and namespaces. A superuser is an administrator.
* A namespace-confined user sees and changes only their namespaces. Any other object is a 404, and
  what concerns the whole workspace ("workspace only") a 403. They can't edit a profile that also
  runs in a namespace they don't see.
* A user who can see a table can see the page and history of each of its objects.
* Every console user also has the first page, the help texts and the form for their own password.

| what | | {columns} | |
|---|---|{line}|---|
{rows}

## Commands

`manage.py` asks for no role: any account that can run it can do everything. The audit trail has it
as `command:<user>`. Orbit's own commands:

{commands}
"""


def as_page() -> str:
    """Return docs/permissions.md."""
    columns = " | ".join(
        column.replace("token: ", "scope ")
        .replace("Administrator", "Admin.")
        .replace("Configurator", "Config.")
        for column in COLUMNS
    )
    lines = []
    for row in rows():
        marks = " | ".join("yes" if column in row.may else "" for column in COLUMNS)
        lines.append(
            f"| {row.kind} | `{row.method} {openapi.path_of(row.route)}` | {marks} | {row.note} |"
        )
    listing = textwrap.fill(
        ", ".join(f"`{name}`" for name in commands()), 99, break_on_hyphens=False
    )
    return PAGE.format(
        columns=columns,
        line="|".join(":-:" for _ in COLUMNS),
        rows="\n".join(lines),
        commands=f"{listing}.",
    )
