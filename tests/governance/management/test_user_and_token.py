"""`user` and `token`."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command, load_command_class
from django.utils import timezone

from governance.access import actors, tokens
from governance.access.actors import NamespaceUnknown
from governance.access.lockout import NotLocked
from governance.access.tokens import ExpiryInvalid, ScopeUnknown
from governance.access.users import UserExists, UserInvalid, UserUnknown
from governance.models import ApiToken, AuditTrailEntry, LoginAttempt
from governance.namespaces import registry
from tests.support.callers import create_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def password(settings: Any) -> None:
    settings.ORBIT_PASSWORD = "a-long-password-1"


def test_a_user_gets_a_role_namespaces_and_can_log_in(client: Any) -> None:
    registry.ensure(["eu"])
    call_command("user", "create", "ann", "--role", "operator", "--namespaces", "eu")
    user = User.objects.get(username="ann")
    assert client.login(username="ann", password="a-long-password-1")
    assert client.get("/admin/").status_code == 200
    actor = actors.of_user(user)
    assert (sorted(actor.scopes), actor.namespaces, user.is_superuser) == (
        ["operate", "read"],
        frozenset({"eu"}),
        False,
    )
    entry = AuditTrailEntry.objects.get(action="user.changed")
    assert entry.actor.startswith("command:")
    assert (entry.after["role"], entry.after["namespaces"]) == ("Operator", ["eu"])


def test_a_name_that_is_taken_is_refused_or_the_user_is_unchanged(
    settings: Any, capsys: Any
) -> None:
    call_command("user", "create", "ann", "--role", "viewer")
    settings.ORBIT_PASSWORD = "another-password-1"
    with pytest.raises(UserExists):
        call_command("user", "create", "ann", "--role", "administrator")
    capsys.readouterr()
    call_command("user", "create", "ann", "--role", "administrator", "--if-missing", "--json")
    assert json.loads(capsys.readouterr().out) == {"username": "ann", "created": False}
    assert User.objects.get().check_password("a-long-password-1")


@pytest.mark.parametrize(
    ("arguments", "sees", "namespaces"),
    [
        ([], "sees the whole workspace", None),
        (["--namespaces", "eu"], "sees only eu", frozenset({"eu"})),
        (["--namespaces", ""], "sees no namespace", frozenset()),
    ],
)
def test_creating_a_user_says_what_they_see(
    capsys: Any, arguments: list[str], sees: str, namespaces: frozenset[str] | None
) -> None:
    registry.ensure(["eu"])
    call_command("user", "create", "ann", "--role", "viewer", *arguments)
    assert capsys.readouterr().out.strip() == f"user ann: created, {sees}"
    assert actors.of_user(User.objects.get()).namespaces == namespaces


@pytest.mark.parametrize(
    ("name", "password", "arguments", "refusal"),
    [
        ("ann", "short", [], UserInvalid),
        ("a b", "a-long-password-1", [], UserInvalid),
        ("x" * 200, "a-long-password-1", [], UserInvalid),
        ("ann", "", [], UserInvalid),
        ("ann", "a-long-password-1", ["--namespaces", "nowhere"], NamespaceUnknown),
    ],
)
def test_an_invalid_user_leaves_nothing(
    settings: Any, name: str, password: str, arguments: list[str], refusal: type[Exception]
) -> None:
    settings.ORBIT_PASSWORD = password
    with pytest.raises(refusal):
        call_command("user", "create", name, "--role", "viewer", *arguments)
    assert not User.objects.exists()


def test_a_token_is_printed_once_and_works(capsys: Any) -> None:
    create_user("ann", "Operator", "eu")
    call_command(
        "token",
        "create",
        "ann",
        "--scopes",
        "read,operate",
        "--namespaces",
        "eu",
        "--expires",
        "7",
        "--json",
    )
    output = json.loads(capsys.readouterr().out)
    authenticated = tokens.authenticate(output["token"])
    assert authenticated is not None
    assert (
        authenticated[0].username,
        sorted(authenticated[1].scopes),
        authenticated[1].namespaces,
    ) == (
        "ann",
        ["operate", "read"],
        frozenset({"eu"}),
    )
    row = ApiToken.objects.get()
    assert output["token"] not in (row.token_hash, row.prefix)
    assert row.expires_at is not None
    assert AuditTrailEntry.objects.get(action="token.created").after["prefix"] == row.prefix
    call_command("token", "create", "ann", "--scopes", "read")
    assert tokens.authenticate(capsys.readouterr().out.strip()) is not None


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (["unknown", "--scopes", "read"], UserUnknown),
        (["ann", "--scopes", "reed"], ScopeUnknown),
        (["ann", "--scopes", ","], ScopeUnknown),
        (["ann", "--scopes", "read", "--namespaces", "nowhere"], NamespaceUnknown),
        (["ann", "--scopes", "read", "--expires", "0"], ExpiryInvalid),
    ],
)
def test_an_invalid_token_leaves_nothing(arguments: list[str], refusal: type[Exception]) -> None:
    create_user("ann")
    with pytest.raises(refusal):
        call_command("token", "create", *arguments)
    assert not ApiToken.objects.exists()


def test_from_a_shell_a_refusal_is_a_line_and_an_exit_code(capsys: Any) -> None:
    with pytest.raises(SystemExit) as exc_info:
        load_command_class("governance", "token").run_from_argv(
            ["manage.py", "token", "create", "unknown", "--scopes", "read"]
        )
    assert exc_info.value.code == 3
    assert (
        capsys.readouterr().err.strip()
        == "orbit: There is no user 'unknown'. Create one with `manage.py user create`."
    )


def test_an_unknown_role_is_refused_by_the_command_line() -> None:
    with pytest.raises(CommandError, match="invalid choice"):
        call_command("user", "create", "ann", "--role", "emperor")


def test_users_are_listed_changed_and_unlocked_with_audit_entries(capsys: Any) -> None:
    registry.ensure(["eu", "us"])
    create_user("ann", "Operator", "eu")
    call_command(
        "user",
        "change",
        "ann",
        "--role",
        "viewer",
        "--namespaces",
        "us,eu",
        "--active",
        "no",
        "--reason",
        "she left",
        "--json",
    )
    changed = {
        "username": "ann",
        "active": False,
        "superuser": False,
        "roles": ["Viewer"],
        "namespaces": ["eu", "us"],
    }
    assert json.loads(capsys.readouterr().out) == changed
    entry = AuditTrailEntry.objects.get()
    assert (entry.action, entry.after, entry.before["roles"], entry.reason) == (
        "user.changed",
        changed,
        ["Operator"],
        "she left",
    )
    call_command("user", "change", "ann", "--role", "viewer")
    assert AuditTrailEntry.objects.count() == 1
    for arguments, namespaces in ((["--namespaces", ""], []), (["--whole-workspace"], None)):
        call_command("user", "change", "ann", *arguments)
        call_command("user", "list", "--json")
        (row,) = json.loads(capsys.readouterr().out.splitlines()[-1])["results"]
        assert (row["namespaces"], row["last_login"]) == (namespaces, None)
    call_command("user", "list")
    assert "Viewer" in capsys.readouterr().out
    now = timezone.now()
    LoginAttempt.objects.create(name="ann", address="192.0.2.7", failures=5, since=now, ends_at=now)
    call_command("user", "unlock", "ann", "--json")
    assert json.loads(capsys.readouterr().out) == {
        "username": "ann",
        "unlocked": True,
        "addresses": 1,
    }


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (["change", "unknown", "--role", "viewer"], UserUnknown),
        (["unlock", "ann"], NotLocked),
        (["change", "ann", "--namespaces", "nowhere"], NamespaceUnknown),
    ],
)
def test_an_invalid_change_changes_nothing(words: list[str], refusal: type[Exception]) -> None:
    create_user("ann", "Operator")
    with pytest.raises(refusal):
        call_command("user", *words)
    assert not AuditTrailEntry.objects.exists()


def test_tokens_are_listed_and_revoked_by_id_prefix_or_text(capsys: Any) -> None:
    row, raw = tokens.create(
        create_user("ann"), scopes=["read"], actor=actors.SYSTEM, name="nightly"
    )
    ApiToken.objects.update(created_at=timezone.now() - timedelta(days=91))
    call_command("token", "list", "--json")
    (token,) = json.loads(capsys.readouterr().out)["results"]
    assert (token["prefix"], token["state"], token["unused"], token["name"]) == (
        row.prefix,
        "active",
        True,
        "nightly",
    )
    call_command("token", "list")
    assert "not for 90 days" in capsys.readouterr().out
    with pytest.raises(tokens.TokenUnknown):
        call_command("token", "revoke", "orbit_xxxxxx")
    call_command("token", "revoke", row.prefix, "--reason", "it leaked", "--json")
    assert json.loads(capsys.readouterr().out) == {
        "id": row.pk,
        "prefix": row.prefix,
        "revoked": True,
    }
    assert tokens.authenticate(raw) is None
    call_command("token", "revoke", str(row.pk))
    assert "already" in capsys.readouterr().out
    assert AuditTrailEntry.objects.filter(action="token.revoked").count() == 1
