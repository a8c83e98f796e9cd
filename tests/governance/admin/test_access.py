"""Users in the console."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User

from governance.access import actors
from governance.models import AuditTrailEntry, Namespace
from tests.support.callers import api, console, create_user

pytestmark = pytest.mark.django_db

NO_GRANTS = {"namespace_grants-TOTAL_FORMS": "0", "namespace_grants-INITIAL_FORMS": "0"}


def _changed() -> list[Any]:
    return [
        entry.after
        for entry in AuditTrailEntry.objects.filter(action="user.changed").order_by("id")
    ]


def test_an_administrator_creates_and_changes_users_with_audit_entries() -> None:
    browser = console(create_user("adm", "Administrator"))
    form: dict[str, Any] = {
        "username": "new",
        "usable_password": "true",
        "password1": "a-long-password-1",
        "password2": "a-long-password-1",
        **NO_GRANTS,
    }
    assert browser.post("/admin/auth/user/add/", form).status_code == 302
    user = User.objects.get(username="new")
    assert user.is_staff
    operator, eu = Group.objects.get(name="Operator"), Namespace.objects.create(name="eu")
    form = {
        "username": "new",
        "is_active": "on",
        "is_staff": "on",
        "groups": [operator.pk],
        "namespace_grants-TOTAL_FORMS": "1",
        "namespace_grants-INITIAL_FORMS": "0",
        "namespace_grants-0-namespace": eu.pk,
        "namespace_grants-0-user": user.pk,
    }
    assert actors.of_user(user).namespaces == frozenset()
    assert browser.post(f"/admin/auth/user/{user.pk}/change/", form).status_code == 302
    actor = actors.of_user(user)
    assert (actor.namespaces, {str(scope) for scope in actor.scopes}) == (
        frozenset({"eu"}),
        {"read", "operate"},
    )
    form = {"usable_password": "true", "password1": "another-long-1", "password2": "another-long-1"}
    assert browser.post(f"/admin/auth/user/{user.pk}/password/", form).status_code == 302
    trail = _changed()
    assert [entry["username"] for entry in trail] == ["new"] * 3
    assert (trail[1]["roles"], trail[1]["namespaces"]) == (["Operator"], ["eu"])
    assert "another-long-1" not in str(trail)


def test_taking_away_the_last_namespace_leaves_nothing_and_only_the_checkbox_gives_all() -> None:
    browser = console(create_user("adm", "Administrator"))
    user = create_user("eve", "Operator", "eu")
    grant = user.namespace_grants.get()
    page = f"/admin/auth/user/{user.pk}/change/"
    form = {
        "username": "eve",
        "is_active": "on",
        "is_staff": "on",
        "groups": [Group.objects.get(name="Operator").pk],
        "namespace_grants-TOTAL_FORMS": "1",
        "namespace_grants-INITIAL_FORMS": "1",
        "namespace_grants-0-id": grant.pk,
        "namespace_grants-0-user": user.pk,
        "namespace_grants-0-namespace": grant.namespace_id,
    }
    assert 'name="whole_workspace"' in browser.get(page).content.decode()
    deletion = {**form, "namespace_grants-0-DELETE": "on"}
    assert browser.post(page, deletion).status_code == 302
    assert actors.of_user(user).namespaces == frozenset()
    assert console(user).get("/admin/").status_code == 200
    assert api(user).get("/governance/namespaces/eu").status_code == 404
    emptied = {**form, **NO_GRANTS}
    assert browser.post(page, {**emptied, "whole_workspace": "on"}).status_code == 302
    assert actors.of_user(user).namespaces is None
    assert "checked" in browser.get(page).content.decode().split('name="whole_workspace"')[1][:80]
    assert browser.post(page, emptied).status_code == 302
    assert actors.of_user(user).namespaces == frozenset()
    assert [entry["namespaces"] for entry in _changed()] == [[], None, []]


def test_users_are_never_deleted_and_only_administrators_see_them() -> None:
    victim = create_user("vic", "Viewer")
    assert (
        console(create_user("adm", "Administrator"))
        .post(f"/admin/auth/user/{victim.pk}/delete/", {"post": "yes"})
        .status_code
        == 403
    )
    browser = console(create_user("con", "Configurator"))
    for path in ("", "add/", f"{victim.pk}/change/", f"{victim.pk}/password/"):
        assert browser.get(f"/admin/auth/user/{path}").status_code == 403
    assert User.objects.filter(pk=victim.pk).exists()


def test_only_a_superuser_creates_or_changes_a_superuser() -> None:
    adm, root = create_user("adm", "Administrator"), create_user("root", "Administrator")
    User.objects.filter(pk=root.pk).update(is_superuser=True)
    role = Group.objects.get(name="Administrator")
    form = {
        "username": "adm",
        "is_active": "on",
        "is_staff": "on",
        "is_superuser": "on",
        "groups": [role.pk],
        **NO_GRANTS,
    }
    browser = console(adm)
    assert browser.post(f"/admin/auth/user/{adm.pk}/change/", form).status_code == 302
    assert not User.objects.get(pk=adm.pk).is_superuser
    password = {
        "usable_password": "true",
        "password1": "another-long-1",
        "password2": "another-long-1",
    }
    assert browser.post(f"/admin/auth/user/{root.pk}/password/", password).status_code == 403
    assert (
        browser.post(
            f"/admin/auth/user/{root.pk}/change/", {**form, "username": "taken"}
        ).status_code
        == 403
    )
    assert (
        console(User.objects.get(pk=root.pk))
        .post(f"/admin/auth/user/{adm.pk}/change/", form)
        .status_code
        == 302
    )
    assert User.objects.get(pk=adm.pk).is_superuser


def test_a_user_who_changes_their_password_leaves_an_audit_entry() -> None:
    browser = console(create_user())
    wrong = {
        "old_password": "wrong",
        "new_password1": "another-long-1",
        "new_password2": "another-long-1",
    }
    browser.post("/admin/password_change/", wrong)
    assert _changed() == []
    browser.post("/admin/password_change/", {**wrong, "old_password": "a-long-password-1"})
    assert _changed() == [{"changed": "own password"}]
