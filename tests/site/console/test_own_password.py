"""One's own password: the current one is asked for, and other sessions end."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from governance.access import lockout
from governance.access.lockout import LoginTurns
from governance.models import AuditTrailEntry, LoginAttempt
from tests.support.callers import console, create_user

pytestmark = pytest.mark.django_db

PAGE = "/admin/password_change/"
RIGHT, WRONG, NEW = "a-long-password-1", "a-wrong-password", "another-long-1"


@pytest.fixture(autouse=True)
def ann() -> User:
    return create_user("ann")


def change(browser: Client, current: str = RIGHT, new: str = NEW) -> Any:
    form = {"old_password": current, "new_password1": new, "new_password2": new}
    return browser.post(PAGE, form)


def is_password(password: str) -> bool:
    return User.objects.get(username="ann").check_password(password)


@pytest.mark.parametrize("current", [WRONG, "", "x" * 5_000])
def test_without_the_current_password_nothing_changes(ann: User, current: str) -> None:
    browser = console(ann)
    assert 'name="old_password"' in browser.get(PAGE).content.decode()
    answer = change(browser, current)
    assert answer.status_code == 200
    assert answer.context["form"].errors["old_password"]
    assert is_password(RIGHT)


def test_a_change_ends_the_other_sessions_and_leaves_an_audit_entry(ann: User) -> None:
    here, there = console(ann), console(ann)
    assert change(here).status_code == 302
    assert is_password(NEW)
    assert here.get("/admin/").status_code == 200
    assert there.get("/admin/").headers["Location"].startswith("/admin/login/")
    entry = AuditTrailEntry.objects.get()
    assert (entry.action, entry.actor, entry.after) == (
        "user.changed",
        "ann",
        {"changed": "own password"},
    )
    assert not LoginAttempt.objects.filter(failures__gt=0).exists()


def test_administrators_change_their_own_password_there_only() -> None:
    adm = create_user("adm", "Administrator")
    browser = console(adm)
    form = {"usable_password": "true", "password1": NEW, "password2": NEW}
    for id in (str(adm.pk), f"0{adm.pk}", f"+{adm.pk}", f" {adm.pk}", f"{adm.pk}.0"):
        answer = browser.post(f"/admin/auth/user/{id}/password/", form)
        assert not User.objects.get(pk=adm.pk).check_password(NEW), id
        if id == str(adm.pk):
            assert answer.headers["Location"] == PAGE
    other = User.objects.get(username="ann").pk
    assert browser.post(f"/admin/auth/user/{other}/password/", form).status_code == 302
    assert is_password(NEW)


def test_a_change_that_gets_no_turn_to_hash_is_a_503_and_counts_for_nothing(
    ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lockout, "TURNS", LoginTurns(running=1, waiting=0, seconds=0.0))
    browser = console(ann)
    with lockout.TURNS.of("192.0.2.1"):
        answer = change(browser)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert not LoginAttempt.objects.filter(failures__gt=0).exists()
    assert is_password(RIGHT)
    assert change(browser).status_code == 302
