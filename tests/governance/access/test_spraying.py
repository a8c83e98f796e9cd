"""Guesses under many names, or from many addresses, are bounded; the user's browser gets in."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db import connection
from django.test import Client

from governance.access import devices, lockout
from governance.access.lockout import (
    ADDRESS_LIMIT,
    ANY_ADDRESS,
    ANY_NAME,
    LIMIT,
    NAME_LIMIT,
    LoginTurns,
)
from governance.models import AuditTrailEntry, LoginAttempt
from tests.support.callers import actor_of, console, create_user

WRONG, RIGHT = "a-wrong-password", "a-long-password-1"


def attempt(name: str, password: str = WRONG, *, address: str, client: Any = None) -> Any:
    form = {"username": name, "password": password, "next": "/admin/"}
    return (client or Client()).post("/admin/login/", form, REMOTE_ADDR=address)


def entries() -> list[dict[str, Any]]:
    found = AuditTrailEntry.objects.filter(action__startswith="login.").order_by("id")
    return [{"action": entry.action, **(entry.after or {})} for entry in found]


def address(number: int) -> str:
    return f"10.1.{number // 250}.{number % 250 + 1}"


@pytest.mark.django_db
def test_many_names_from_one_address_lock_the_address_and_leave_two_entries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create_user()
    answers = [attempt(f"name{number}", address="10.0.0.1") for number in range(60)]
    assert [answer.status_code for answer in answers] == [200] * ADDRESS_LIMIT + [429] * 40
    assert b"entered from your address" in answers[-1].content
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 15 * 60
    first, last = entries()
    assert (first["action"], first["failures"]) == ("login.failed", 1)
    assert (last["action"], last["username"], last["address"], last["failures"]) == (
        "login.locked",
        ANY_NAME,
        "10.0.0.1",
        ADDRESS_LIMIT,
    )
    # What is refused leaves no rows, and hashes nothing.
    assert LoginAttempt.objects.count() == 2 + 2 * ADDRESS_LIMIT
    monkeypatch.setattr(MD5PasswordHasher, "encode", lambda *_: pytest.fail("hashed"))
    assert attempt("ann", RIGHT, address="10.0.0.1").status_code == 429
    monkeypatch.undo()
    assert attempt("ann", RIGHT, address="10.0.0.2").status_code == 302


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["ann", "unknown"])
def test_one_name_from_many_addresses_is_locked_whether_a_user_has_it_or_not(name: str) -> None:
    create_user()
    answers = [attempt(name, address=address(number)) for number in range(NAME_LIMIT + 5)]
    assert [answer.status_code for answer in answers] == [200] * NAME_LIMIT + [429] * 5
    assert b"entered for this name." in answers[-1].content
    locked = [entry for entry in entries() if entry["action"] == "login.locked"]
    assert [entry["address"] for entry in locked] == ([ANY_ADDRESS] if name == "ann" else [])


@pytest.mark.django_db
def test_strangers_lock_nobody_out_of_a_browser_that_has_logged_in_before() -> None:
    create_user()
    create_user("bea")
    mine = Client()
    assert attempt("ann", RIGHT, address="10.0.0.1", client=mine).status_code == 302
    mine.cookies.pop("sessionid")
    for number in range(NAME_LIMIT):
        attempt("ann", address=address(number))
    for number in range(ADDRESS_LIMIT):
        attempt(f"name{number}", address="10.0.0.1")
    assert attempt("ann", RIGHT, address="10.0.0.1").status_code == 429
    assert attempt("ann", RIGHT, address="10.0.0.1", client=mine).status_code == 302
    mine.cookies.pop("sessionid")
    # It is hers alone, and has a limit too.
    assert attempt("bea", RIGHT, address="10.0.0.1", client=mine).status_code == 429
    codes = [attempt("ann", address="10.0.0.1", client=mine).status_code for _ in range(LIMIT + 1)]
    assert codes == [200] * LIMIT + [429]
    assert attempt("ann", RIGHT, address="10.0.0.9", client=mine).status_code == 429


@pytest.mark.django_db
@pytest.mark.parametrize("cookie", ["", "x", "[1,2]:x:y", "\x00", "x" * 5000])
def test_a_forged_browser_is_a_stranger(cookie: str) -> None:
    create_user()
    client = Client()
    client.cookies[devices.COOKIE] = cookie
    for number in range(NAME_LIMIT):
        attempt("ann", address=address(number))
    assert attempt("ann", RIGHT, address="10.0.0.1", client=client).status_code == 429


@pytest.mark.django_db
def test_the_time_of_an_address_is_not_extended_below_its_limit() -> None:
    attempt("a", address="10.0.0.1")
    row = LoginAttempt.objects.filter(name=ANY_NAME, address="10.0.0.1")
    ends = row.get().ends_at - timedelta(minutes=5)
    row.update(ends_at=ends)
    for number in range(ADDRESS_LIMIT - 2):
        attempt(f"name{number}", address="10.0.0.1")
    assert row.get().ends_at == ends
    attempt("b", address="10.0.0.1")
    assert row.get().ends_at > ends
    assert row.get().failures == ADDRESS_LIMIT


@pytest.mark.django_db
def test_a_login_of_ones_own_does_not_let_an_address_go_on_guessing() -> None:
    create_user()
    create_user("eve")
    codes = []
    for number in range(ADDRESS_LIMIT + 5):
        codes.append(attempt(f"name{number}", address="10.0.0.1").status_code)
        if number < ADDRESS_LIMIT - 1:
            assert attempt("eve", RIGHT, address="10.0.0.1").status_code == 302
    assert codes == [200] * ADDRESS_LIMIT + [429] * 5


@pytest.mark.django_db
def test_unknown_names_from_many_addresses_make_a_bounded_number_of_entries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lockout, "MOST_RECORDED", 10)
    for number in range(30):
        attempt(f"name{number}", address=address(number))
    assert len(entries()) == 10


@pytest.mark.django_db
def test_an_unlocked_user_can_log_in_from_an_address_that_was_locked() -> None:
    root = create_user("root", "Administrator")
    create_user()
    for number in range(ADDRESS_LIMIT):
        attempt("ann" if number < LIMIT else f"name{number}", address="10.0.0.1")
    assert attempt("ann", RIGHT, address="10.0.0.1").status_code == 429
    assert ANY_NAME in console(root).get("/admin/access/").text
    lockout.unlock("ann", actor=actor_of(root), reason="it was her cat")
    assert attempt("ann", RIGHT, address="10.0.0.1").status_code == 302
    for number in range(ADDRESS_LIMIT):
        attempt(f"other{number}", address="10.0.0.2")
    lockout.unlock(ANY_NAME, actor=actor_of(root), reason="a test", address="10.0.0.2")
    assert attempt("ann", RIGHT, address="10.0.0.2").status_code == 302


@pytest.mark.usefixtures("committed")
def test_of_fifty_names_at_once_at_most_the_limit_are_hashed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lockout, "TURNS", LoginTurns(running=2, waiting=50, seconds=60))
    hashed: list[str] = []

    def encode(self: Any, password: str, salt: str) -> str:
        hashed.append(password)
        return "md5$" + hashlib.sha256(password.encode()).hexdigest()

    monkeypatch.setattr(MD5PasswordHasher, "encode", encode)

    def guess(number: int) -> int:
        try:
            return int(attempt(f"name{number}", address="10.0.0.1").status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        codes = list(pool.map(guess, range(50)))
    assert sorted(codes) == [200] * ADDRESS_LIMIT + [429] * (50 - ADDRESS_LIMIT)
    assert len(hashed) == ADDRESS_LIMIT
    assert [entry["action"] for entry in entries()] == ["login.failed", "login.locked"]
