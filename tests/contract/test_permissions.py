"""The table of who may what is true: the request of every cell, sent."""

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.test import Client

from governance.access.actors import SYSTEM
from governance.access.roles import ROLES, SCOPES
from governance.operations import ledger
from orbit_site import permissions
from orbit_site.permissions import ANONYMOUS, COLUMNS, Row
from tests.support import objects, routes
from tests.support.callers import api, console, create_user

pytestmark = pytest.mark.usefixtures("committed")

Send = Callable[[str, str], Any]
#: What everybody inside has, as docs/permissions.md says.
STOCK = {
    "index",
    "login",
    "logout",
    "password_change",
    "password_change_done",
    "jsi18n",
    "autocomplete",
    "app_list",
}


@pytest.fixture
def known(settings: Any) -> dict[str, Any]:
    ledger.ensure_run_with_identity("default", "test", {}, initiator=SYSTEM.name)
    return objects.create_objects(settings)


@pytest.fixture
def callers() -> dict[str, Send]:
    """Who sends, by column; a person by their session, which may all that their role may."""
    boss = create_user("boss", "Administrator")
    found: dict[str, Any] = {
        ANONYMOUS: api().client,
        **{role: console(create_user(role.lower(), role)) for role in ROLES},
    }
    found |= {f"token: {scope}": api(boss, scope).client for scope in SCOPES}
    return {column: sender(client) for column, client in found.items()}


def sender(client: Client) -> Send:
    client.raise_request_exception = False
    return lambda method, path: client.generic(
        method,
        path,
        b"",
        "application/json"
        if not path.startswith("/admin/")
        else "application/x-www-form-urlencoded",
    )


def let_in(answer: Any) -> bool:
    """Tell whether an answer is one to somebody who may, whatever becomes of it then. Raises AssertionError for a 500."""
    assert answer.status_code != 500
    if answer.wsgi_request.path.startswith("/admin/"):
        # An object whose table is hidden looks like a missing one.
        return answer.status_code not in {403, 404} and "/login/" not in answer.headers.get(
            "Location", ""
        )
    return answer.status_code not in {401, 403}


def path(row: Row, known: dict[str, Any]) -> str:
    if "object_id" in objects.parameters(row.route):
        model = apps.get_model(str(row.model))
        found = (
            model._default_manager.exclude(pk=User.objects.get(username="boss").pk).first()
            if model is User
            else model._default_manager.first()
        )
        assert found is not None, f"there is no {row.model}: make one in tests/support/objects.py"
        return objects.url_of(row.route, {}, object_id=found.pk, id=found.pk)
    return objects.url_of(
        row.route, known, id=User.objects.order_by("pk").values_list("pk", flat=True)[0]
    )


def test_every_cell_is_true(known: dict[str, Any], callers: dict[str, Send]) -> None:
    found = []
    looked_at = {row.route for row in permissions.rows() if row.method == "GET"}
    for row in permissions.rows():
        for column in COLUMNS:
            # A form is asked for: who may see it may send it. Where it isn't so, it is sent; an empty one does nothing.
            method = (
                "GET"
                if row.route.startswith("admin/") and row.route not in looked_at
                else row.method
            )
            answer = callers[column](method, path(row, known))
            if let_in(answer) != (column in row.may):
                found.append(
                    f"{column}: {row.method} {row.route} ({row.kind}): {answer.status_code}"
                )
    assert found == []


def test_what_somebody_may_not_see_they_may_not_send_either(
    known: dict[str, Any], callers: dict[str, Send]
) -> None:
    found = []
    for row in (
        row for row in permissions.rows() if row.route.startswith("admin/") and row.method == "POST"
    ):
        for column in (column for column in COLUMNS if column not in row.may):
            answer = callers[column]("POST", path(row, known))
            found += [f"{column}: {row.route}: {answer.status_code}"] if let_in(answer) else []
    assert found == []


def test_every_route_of_the_api_and_every_table_has_its_row() -> None:
    rows = {(row.method, row.route) for row in permissions.rows()}
    assert {
        ("POST", "cycles/trigger"),
        ("GET", "cycles/<uuid:cycle_id>"),
        ("GET", "admin/orbit/cyclerun/"),
        ("GET", "health"),
    } <= rows
    assert ("POST", "admin/orbit/deadletterdispatch/<path:object_id>/requeue/") in rows


def test_every_address_of_the_console_has_its_row() -> None:
    listed = {row.route for row in permissions.rows()}
    stock = routes.of_tables() | STOCK
    assert (
        sorted(
            name
            for name, pattern in routes.console().items()
            if name not in stock and pattern not in listed
        )
        == []
    )


@pytest.mark.parametrize(
    ("method", "route", "may"),
    [
        ("GET", "admin/pause/", {*ROLES}),
        ("POST", "admin/pause/", {"Operator", "Administrator"}),
        ("POST", "admin/config/drift/", {"Configurator", "Administrator"}),
        ("GET", "admin/orbit/profile/<path:object_id>/change/", {*ROLES}),
        ("POST", "admin/orbit/profile/<path:object_id>/change/", {"Configurator", "Administrator"}),
        (
            "POST",
            "admin/orbit/runprofile/<path:object_id>/history/<int:number>/",
            {"Configurator", "Administrator"},
        ),
        ("POST", "admin/orbit/schedules/<str:name>/switch/", {"Configurator", "Administrator"}),
        ("POST", "admin/halt/", {"Operator", "Administrator"}),
        ("POST", "admin/orbit/cyclerun/<path:object_id>/run_again/", {"Operator", "Administrator"}),
        ("POST", "admin/access/tokens/new/", {"Administrator"}),
    ],
)
def test_who_may_look_may_not_always_send(method: str, route: str, may: set[str]) -> None:
    assert [
        row.may for row in permissions.rows() if (row.method, row.route) == (method, route)
    ] == [may]


def test_every_command_is_named_on_the_page() -> None:
    page = permissions.as_page().replace("\n", " ")
    assert "`namespace create`" in page
    assert [name for name in permissions.commands() if f"`{name}`" not in page] == []


def test_an_address_of_the_console_that_forms_lacks_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(permissions, "FORMS", {})
    with pytest.raises(permissions.Unlisted):
        permissions.rows()
