"""Who may what, as a table: every address of the API, every page, table, action and form of the console, by role and by scope.

It is worked out from what the code itself goes by: the powers of resources, pages and actions, and what the tables' admins answer.
docs/permissions.md is made from it, and a test sends the request of each cell.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.urls import URLPattern, get_resolver

from governance.access.actors import Actor
from governance.access.roles import ROLES, SCOPES, Power
from governance.console import pages
from governance.console.actions import ReasonedAdmin
from governance.rest import openapi

ANONYMOUS = "anonymous"
COLUMNS = (ANONYMOUS, *ROLES, *(f"token: {scope}" for scope in SCOPES))

#: Forms of tables that are neither Django's nor a reasoned action: by the name of their address, what they need.
FORMS = {
    "orbit_cyclerun_trigger": Power.OPERATE,
    "orbit_deadletterdispatch_requeue_matching": Power.OPERATE,
    "orbit_deadletterdispatch_dismiss_matching": Power.OPERATE,
    "auth_user_password_change": Power.ADMINISTER,
}
#: What no resource, page or table serves: its address, and who gets an answer.
OPEN = {"GET /health": COLUMNS, "GET /ready": COLUMNS, "GET /api/docs": COLUMNS}


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that can be done: by which method, where (a route), who may, and of which table its object is."""

    kind: str
    method: str
    route: str
    may: frozenset[str]
    model: str | None = None
    note: str = ""


class Unlisted(ValueError):
    """There is an address of the console whose power nobody named."""


def rows() -> list[Row]:
    """Return all of them. Raises Unlisted."""
    return [*_rest(), *_pages(), *_tables()]


def _holders(power: Power | None, *, tokens: bool = True) -> frozenset[str]:
    if power is None:
        return frozenset(COLUMNS)
    roles = {role for role, powers in ROLES.items() if power in powers}
    return frozenset(roles | ({f"token: {power}"} if tokens and power in SCOPES else set()))


def _rest() -> Iterator[Row]:
    for what, may in OPEN.items():
        method, _, route = what.partition(" /")
        yield Row("REST", method, route, frozenset(may))
    for route, pattern in sorted(openapi.walk(get_resolver().url_patterns), key=lambda item: item[0]):
        resource = openapi.resource_of(pattern)
        for method in openapi.methods_of(resource) if resource is not None else ():
            yield Row("REST", method, route, _holders(openapi.needed(resource, method)))  # type: ignore[arg-type]


def _pages() -> Iterator[Row]:
    for page in pages.registered():
        note = "not for the confined" if page.workspace else ""
        yield Row("page", "GET", f"admin/{page.address}", _holders(page.power, tokens=False), note=note)


def _tables() -> Iterator[Row]:
    for model, table in sorted(admin.site._registry.items(), key=lambda item: item[0]._meta.label):
        label = model._meta.label
        place = f"admin/{model._meta.app_label}/{model._meta.model_name}/"
        note = "not for the confined" if getattr(table, "namespace_path", None) is None else ""
        yield Row("table", "GET", place, _who(table, "has_view_permission"), label, note)
        for route, deed in (("add/", "add"), ("<path:object_id>/change/", "change"), ("<path:object_id>/delete/", "delete")):
            may = _who(table, f"has_{deed}_permission")
            if may:
                yield Row(deed, "POST", place + route, may, label, note)
        actions = table._all() if isinstance(table, ReasonedAdmin) else []
        for action in actions:
            yield Row(f"action: {action.label}", "POST", f"{place}<path:object_id>/{action.name}/", _holders(action.power, tokens=False), label)
        yield from _forms(table, place, {action.name for action in actions})


def _forms(table: Any, place: str, actions: set[str]) -> Iterator[Row]:
    prefix = f"{table.opts.app_label}_{table.opts.model_name}_"
    known = {prefix + name for name in {"changelist", "add", "history", "delete", "change"} | actions}
    for pattern in table.get_urls():
        if not isinstance(pattern, URLPattern) or pattern.name is None or pattern.name in known:
            continue
        if pattern.name not in FORMS:
            raise Unlisted(f"Say in FORMS what the address {pattern.name!r} needs.")
        yield Row("form", "POST", place + str(pattern.pattern), _holders(FORMS[pattern.name], tokens=False), table.opts.label)


def _who(table: Any, question: str) -> frozenset[str]:
    return frozenset(role for role in ROLES if getattr(table, question)(_request(role)))


def _request(role: str) -> HttpRequest:
    """Return a request of somebody who has ``role`` and is confined to nothing."""
    request = HttpRequest()
    request.user = AnonymousUser()
    request.console_actor = Actor(name=role, user_id=None, powers=ROLES[role], namespaces=None)  # type: ignore[attr-defined]
    return request


PAGE = """# Who may what

Made from the code by `make docs`; a test sends a request for every cell. A token may no more than its owner and no more than its scopes; a
superuser is an administrator. Who is confined to namespaces sees and changes those alone: another one's object is a 404, and what concerns the
whole workspace ("not for the confined") a 403. Beside what stands here, everybody who is inside of the console has its first page, the help texts
and the form for their own password. `manage.py` asks for no role: whoever may run it on the machine may do everything, and stands on the
audit trail as `command:<user>`.

| what | | {columns} | |
|---|---|{line}|---|
{rows}
"""


def as_page() -> str:
    """Return docs/permissions.md."""
    columns = " | ".join(column.replace("token: ", "scope ").replace("Administrator", "Admin.").replace("Configurator", "Config.") for column in COLUMNS)
    lines = []
    for row in rows():
        marks = " | ".join("yes" if column in row.may else "" for column in COLUMNS)
        lines.append(f"| {row.kind} | `{row.method} {openapi.path_of(row.route)}` | {marks} | {row.note} |")
    return PAGE.format(columns=columns, line="|".join(":-:" for _ in COLUMNS), rows="\n".join(lines))
