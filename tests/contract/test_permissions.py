"""Every cell of docs/permissions.md is true: its request is sent."""

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
#: Pages for every user of the console, as docs/permissions.md says.
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
def ids(settings: Any) -> dict[str, Any]:
    ledger.ensure_run_with_identity("default", "test", {}, initiator=SYSTEM.name)
    return objects.create_objects(settings)


@pytest.fixture
def callers() -> dict[str, Send]:
    """The clients by column; roles call with a session."""
    boss = create_user("boss", "Administrator")
    faults: dict[str, Any] = {
        ANONYMOUS: api().client,
        **{role: console(create_user(role.lower(), role)) for role in ROLES},
    }
    faults |= {f"token: {scope}": api(boss, scope).client for scope in SCOPES}
    return {column: sender(client) for column, client in faults.items()}


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


def is_permitted(answer: Any) -> bool:
    """Tell whether the caller is permitted; fail on a 500."""
    assert answer.status_code != 500
    if answer.wsgi_request.path.startswith("/admin/"):
        # An object of a table without permission looks like a missing one.
        return answer.status_code not in {403, 404} and "/login/" not in answer.headers.get(
            "Location", ""
        )
    return answer.status_code not in {401, 403}


def path(row: Row, ids: dict[str, Any]) -> str:
    if "object_id" in objects.parameters(row.route):
        model = apps.get_model(str(row.model))
        faults = (
            model._default_manager.exclude(pk=User.objects.get(username="boss").pk).first()
            if model is User
            else model._default_manager.first()
        )
        assert faults is not None, f"there is no {row.model}: make one in tests/support/objects.py"
        return objects.url_of(row.route, {}, object_id=faults.pk, id=faults.pk)
    return objects.url_of(
        row.route, ids, id=User.objects.order_by("pk").values_list("pk", flat=True)[0]
    )


# More than two thousand requests take half a minute, and on a busy machine several.
@pytest.mark.timeout(900)
def test_every_cell_is_true(ids: dict[str, Any], callers: dict[str, Send]) -> None:
    faults = []
    readable = {row.route for row in permissions.rows() if row.method == "GET"}
    for row in permissions.rows():
        for column in COLUMNS:
            # A form that may be seen may be sent, so GET it. Otherwise POST it empty.
            method = (
                "GET"
                if row.route.startswith("admin/") and row.route not in readable
                else row.method
            )
            answer = callers[column](method, path(row, ids))
            if is_permitted(answer) != (column in row.may):
                faults.append(
                    f"{column}: {row.method} {row.route} ({row.kind}): {answer.status_code}"
                )
    assert faults == []


def test_a_form_that_may_not_be_seen_may_not_be_sent(
    ids: dict[str, Any], callers: dict[str, Send]
) -> None:
    faults = []
    for row in (
        row for row in permissions.rows() if row.route.startswith("admin/") and row.method == "POST"
    ):
        for column in (column for column in COLUMNS if column not in row.may):
            answer = callers[column]("POST", path(row, ids))
            faults += (
                [f"{column}: {row.route}: {answer.status_code}"] if is_permitted(answer) else []
            )
    assert faults == []


def test_every_route_of_the_api_and_every_table_has_its_row() -> None:
    rows = {(row.method, row.route) for row in permissions.rows()}
    assert {
        ("POST", "cycles/trigger"),
        ("GET", "cycles/<uuid:cycle_id>"),
        ("GET", "admin/orbit/cyclerun/"),
        ("GET", "health"),
    } <= rows
    assert ("POST", "admin/orbit/deadletterdispatch/<path:object_id>/requeue/") in rows


def test_every_page_of_the_console_has_its_row() -> None:
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
def test_a_form_that_may_be_seen_may_not_always_be_sent(
    method: str, route: str, may: set[str]
) -> None:
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
