"""Guessing passwords locks a user at one address until a time, on record; others may log in."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from governance.access import lockout
from governance.access.actors import SYSTEM, NotAllowed
from governance.access.lockout import LIMIT, LoginsBusy, LoginTurns, NotLocked
from governance.models import AuditTrailEntry, LoginAttempt
from tests.support.callers import actor_of, create_user
from tests.support.polling import until

WRONG, RIGHT = "a-wrong-password", "a-long-password-1"


def attempt(
    name: str = "ann", password: str = WRONG, *, address: str = "10.0.0.1", **headers: str
) -> Any:
    form = {"username": name, "password": password, "next": "/admin/"}
    return Client().post(
        "/admin/login/",
        form,
        REMOTE_ADDR=address,
        headers={key.replace("_", "-"): value for key, value in headers.items()},
    )


def pair() -> LoginAttempt:
    return LoginAttempt.objects.get(name="ann", address="10.0.0.1")


def on_record() -> list[tuple[str, str]]:
    return [
        (entry.action, entry.object_id)
        for entry in AuditTrailEntry.objects.filter(action__startswith="login.").order_by("id")
    ]


@pytest.mark.django_db
def test_after_five_wrong_passwords_the_right_one_is_refused_in_plain_words() -> None:
    user = create_user()
    assert [attempt().status_code for _ in range(LIMIT)] == [200] * LIMIT
    answer = attempt(password=RIGHT)
    assert answer.status_code == 429
    assert "5 wrong passwords" in answer.content.decode()
    assert f"until {pair().ends_at:%H:%M} UTC" in answer.content.decode()
    assert 0 < int(answer.headers["Retry-After"]) <= 15 * 60
    assert "sessionid" not in answer.cookies
    assert on_record() == [("login.failed", str(user.pk)), ("login.locked", str(user.pk))]
    assert RIGHT not in str(list(AuditTrailEntry.objects.values()))


@pytest.mark.django_db
def test_a_success_before_the_limit_forgets_the_failures_and_leaves_only_the_last_login() -> None:
    create_user()
    for _ in range(2):
        assert [attempt().status_code for _ in range(LIMIT - 1)] == [200] * (LIMIT - 1)
        assert attempt(password=RIGHT).status_code == 302
    # Those of before each success stay counted for the address and the name.
    kept = LoginAttempt.objects.order_by("address").values_list("name", "address", "failures")
    assert list(kept) == [("any name", "10.0.0.1", 8), ("ann", "any address", 8)]
    assert {action for action, _ in on_record()} == {"login.failed"}
    assert User.objects.get().last_login is not None


@pytest.mark.django_db
def test_another_address_and_another_user_are_not_locked() -> None:
    create_user()
    create_user("bea")
    for _ in range(LIMIT + 1):
        attempt()
    assert attempt(password=RIGHT, address="10.0.0.2").status_code == 302
    assert attempt("bea", RIGHT).status_code == 302
    assert attempt(password=RIGHT).status_code == 429


@pytest.mark.django_db
def test_a_lock_ends_by_time_and_further_guesses_do_not_extend_it() -> None:
    create_user()
    for _ in range(LIMIT):
        attempt()
    # In the test's transaction now() stands still, so an end that moves must differ from it.
    ends = pair().ends_at - timedelta(minutes=5)
    LoginAttempt.objects.update(ends_at=ends)
    for _ in range(10):
        assert attempt().status_code == 429
    row = pair()
    assert (row.ends_at, row.failures) == (ends, LIMIT + 1)
    assert lockout.locked_logins().count() == 1
    an_hour_ago = timezone.now() - timedelta(hours=1)
    LoginAttempt.objects.update(since=an_hour_ago, ends_at=an_hour_ago)
    assert lockout.locked_logins().count() == 0
    assert attempt().status_code == 200
    row = pair()
    assert (row.failures, row.since > an_hour_ago) == (1, True)
    assert attempt(password=RIGHT).status_code == 302
    assert [action for action, _ in on_record()] == ["login.failed", "login.locked", "login.failed"]


@pytest.mark.django_db
def test_each_failure_before_the_lock_extends_the_time_in_which_they_are_counted() -> None:
    create_user()
    attempt()
    began = pair()
    LoginAttempt.objects.update(
        since=began.since - timedelta(minutes=14), ends_at=began.ends_at - timedelta(minutes=14)
    )
    attempt()
    row = pair()
    assert (row.failures, row.ends_at) == (2, began.ends_at)
    assert row.since == began.since - timedelta(minutes=14)


@pytest.mark.django_db
def test_fifty_guesses_under_forged_addresses_are_one_address(settings: Any) -> None:
    create_user()
    codes = [attempt(X_Forwarded_For=f"192.0.2.{number}").status_code for number in range(50)]
    assert codes == [200] * LIMIT + [429] * (50 - LIMIT)
    settings.ORBIT_FORWARDING_PROXIES = ["10.0.0.0/24"]
    assert attempt(password=RIGHT, X_Forwarded_For="203.0.113.9, 192.0.2.1").status_code == 302


@pytest.mark.django_db
def test_an_unknown_name_is_locked_the_same_way_and_kept_as_a_fingerprint() -> None:
    for name in ("my-secret-password", "\uff4dy-secret-password "):  # the form makes them equal
        assert {attempt(name).status_code for _ in range(2)} == {200}
    assert [attempt("my-secret-password").status_code for _ in range(2)] == [200, 429]
    assert on_record() == [("login.failed", "")]
    stored = str(list(AuditTrailEntry.objects.values())) + str(list(LoginAttempt.objects.values()))
    assert "my-secret-password" not in stored
    assert lockout.fingerprint("my-secret-password") in stored


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["ann", "ghost"])
def test_a_lock_does_not_tell_whether_a_name_has_a_user(name: str) -> None:
    create_user()
    assert [attempt(name).status_code for _ in range(LIMIT + 1)] == [200] * LIMIT + [429]
    # A user's name in capitals is no user's: it would be locked with the name only if that is none.
    assert attempt(name.upper()).status_code == 200


@pytest.mark.django_db
def test_guesses_of_the_old_password_in_a_session_are_limited_and_on_record() -> None:
    user = create_user()
    browser = Client()
    browser.force_login(user)

    def change(old: str) -> int:
        form = {"old_password": old, "new_password1": "new-long-1", "new_password2": "new-long-1"}
        return browser.post("/admin/password_change/", form).status_code

    assert [change(WRONG) for _ in range(LIMIT + 1)] == [200] * LIMIT + [429]
    assert change(RIGHT) == 429
    assert on_record() == [("login.failed", str(user.pk)), ("login.locked", str(user.pk))]
    assert lockout.locked_logins().count() == 1
    # The log-in is counted by itself, and the user may be unlocked.
    assert attempt(password=RIGHT).status_code == 302
    lockout.unlock("ann", actor=SYSTEM, reason="it was me")
    assert change(RIGHT) == 302


@pytest.mark.django_db
def test_an_administrator_unlocks_with_an_audit_entry() -> None:
    user = create_user()
    for address in ("10.0.0.1", "10.0.0.2"):
        for _ in range(LIMIT):
            attempt(address=address)
    with pytest.raises(NotAllowed):
        lockout.unlock("ann", actor=actor_of(create_user("ola", "Operator")), reason="r")
    assert lockout.unlock("ann", actor=SYSTEM, reason="it was her cat") == 2
    entry = AuditTrailEntry.objects.get(action="user.changed")
    assert (entry.object_id, entry.after["changed"], entry.reason) == (
        str(user.pk),
        "unlocked",
        "it was her cat",
    )
    assert attempt(password=RIGHT).status_code == 302
    with pytest.raises(NotLocked):
        lockout.unlock("ann", actor=SYSTEM, reason="again")


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["a\x00b", "x" * 5000, "\u202eann", "ann ", "", "\ud7ff"])
def test_an_odd_name_is_no_server_error(name: str) -> None:
    assert attempt(name).status_code in {200, 400}


@pytest.mark.usefixtures("committed")
def test_of_many_guesses_at_once_at_most_the_limit_are_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create_user()
    # This is about the limit, so that each gets its turn, however slow the machine is.
    monkeypatch.setattr(lockout, "TURNS", LoginTurns(running=2, waiting=8, seconds=60))
    for _ in range(20):
        LoginAttempt.objects.all().delete()
        checked_passwords: list[str] = []
        monkeypatch.setattr(
            MD5PasswordHasher,
            "verify",
            lambda self, password, encoded, checked_passwords=checked_passwords: bool(
                checked_passwords.append(password)
            ),
        )

        def guess(number: int) -> int:
            try:
                return int(attempt(password=f"guess-{number}").status_code)
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as pool:
            codes = list(pool.map(guess, range(12)))
        assert sorted(codes) == [200] * LIMIT + [429] * (12 - LIMIT)
        assert len(checked_passwords) == LIMIT
    actions = [action for action, _ in on_record()]
    assert actions.count("login.locked") == 20
    assert actions.count("login.failed") <= 20


def test_few_logins_hash_at_once_one_for_each_address_and_the_others_wait_briefly() -> None:
    turns = LoginTurns(running=2, waiting=1, seconds=30)
    inside: list[str] = []
    leave = threading.Event()

    def login(address: str) -> str:
        try:
            with turns.of(address):
                inside.append(address)
                leave.wait(30)
            return "checked"
        except LoginsBusy:
            return "busy"

    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(login, address) for address in ("a", "b")]
        until(lambda: len(inside) == 2)
        others = [pool.submit(login, address) for address in ("a", "c", "d")]
        # One of them may wait.
        until(lambda: sum(other.done() for other in others) == 2)
        assert sorted(inside) == ["a", "b"]
        leave.set()
        assert [login.result() for login in running] == ["checked"] * 2
        assert sorted(other.result() for other in others) == ["busy", "busy", "checked"]


def test_an_address_that_guesses_leaves_a_turn_to_another_one() -> None:
    turns = LoginTurns(running=2, waiting=4, seconds=0.05)
    with turns.of("attacker"):
        with pytest.raises(LoginsBusy), turns.of("attacker"):
            pass
        with turns.of("ann"):
            pass
    with turns.of("attacker"):
        pass


@pytest.mark.django_db
def test_a_login_without_a_turn_is_a_503_counts_for_nothing_and_tells_no_names(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    create_user()
    monkeypatch.setattr(lockout, "TURNS", LoginTurns(running=0, waiting=1, seconds=0.01))
    answers = [attempt(name) for name in ("ann", "unknown") for _ in range(2 * LIMIT)]
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.headers["Retry-After"] for answer in answers} == {"2"}
    assert all(b"logins are checked at once" in answer.content for answer in answers)
    assert not LoginAttempt.objects.exclude(failures=0).exists()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    monkeypatch.undo()
    assert attempt(password=RIGHT).status_code == 302


@pytest.mark.django_db
@pytest.mark.parametrize("form", [("n" * 200, WRONG), ("ann", "p" * 100_000)])
def test_a_name_or_password_that_nobody_has_hashes_nothing(
    form: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    create_user()
    monkeypatch.setattr(MD5PasswordHasher, "encode", lambda *_: pytest.fail("hashed"))
    monkeypatch.setattr(MD5PasswordHasher, "verify", lambda *_: pytest.fail("hashed"))
    assert attempt(*form).status_code == 200


@pytest.mark.django_db
def test_a_locked_name_waits_for_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    create_user()
    for _ in range(LIMIT):
        attempt()
    monkeypatch.setattr(lockout, "TURNS", LoginTurns(running=0, waiting=9, seconds=60))
    began = time.monotonic()
    assert attempt().status_code == 429
    assert time.monotonic() - began < 30
