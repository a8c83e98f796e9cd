"""The lock-out: too many wrong passwords lock a name for the address they came from.

An attempt is counted before its password is checked: parallel guesses can't pass the limit, and a
crash counts as a failure.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from governance import audit
from governance.access import origin
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel import sql
from governance.kernel.errors import Kind, OrbitError
from governance.models import LoginAttempt

LIMIT = 5
MINUTES = 15
_LOCKOUT_LEVEL = 2
_LONGEST_NAME, _LONGEST_PASSWORD = 150, 4_096

COUNT_ATTEMPT = sql.load(__name__, "count_attempt")
REPORT_FAILURE = sql.load(__name__, "report_failure")


class LockedOut(OrbitError):
    """Too many wrong passwords for this name from this address."""

    code, kind = "locked_out", Kind.LOCKED

    def __init__(self, until: datetime) -> None:
        """``until`` is when the lock ends."""
        super().__init__(
            f"{LIMIT} wrong passwords were entered for this name from your address. "
            f"It is locked until {until:%H:%M} UTC. An administrator can unlock it before "
            "(Access in the console, or `manage.py user unlock`)."
        )
        self.until = until


class LoginsBusy(OrbitError):
    """Too many logins are checked at once. Try again in a moment."""

    code, kind = "logins_busy", Kind.UNAVAILABLE


class NotLocked(OrbitError):
    """No login under this name failed lately."""

    code, kind = "not_locked", Kind.MISSING


class LoginTurns:
    """Lets few logins hash their password at once: each takes a core for half a second.

    One address has one turn, so that it can't take all. The same for names that no user has, which
    are hashed too.
    """

    def __init__(self, *, running: int, waiting: int, seconds: float) -> None:
        self._running, self._waiting, self._seconds = running, waiting, seconds
        self._changed = threading.Condition()
        self._addresses: list[str] = []
        self._waiters = 0

    @contextmanager
    def of(self, address: str) -> Iterator[None]:
        """Wait for a turn of ``address``. Raises LoginsBusy."""
        with self._changed:
            if not self._is_free(address):
                self._wait(address)
            self._addresses.append(address)
        try:
            yield
        finally:
            with self._changed:
                self._addresses.remove(address)
                self._changed.notify_all()

    def _is_free(self, address: str) -> bool:
        return len(self._addresses) < self._running and address not in self._addresses

    def _wait(self, address: str) -> None:
        if self._waiters >= self._waiting:
            raise LoginsBusy
        self._waiters += 1
        try:
            if not self._changed.wait_for(lambda: self._is_free(address), self._seconds):
                raise LoginsBusy
        finally:
            self._waiters -= 1


#: Of this process.
TURNS = LoginTurns(running=2, waiting=6, seconds=1.0)


class GuardedBackend(ModelBackend):
    """Django's check of passwords, behind the lock-out."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        """Return the user, or None if the password is wrong. Raises LockedOut, LoginsBusy."""
        # Without a request there is no address to count by.
        if request is None or username is None or password is None:
            return super().authenticate(request, username=username, password=password, **kwargs)
        if len(username) > _LONGEST_NAME or len(password) > _LONGEST_PASSWORD:
            return None  # no user has these
        # The cheap check first: what is locked hashes nothing.
        attempt = _Attempt.begin(username, origin.address(request))
        try:
            with TURNS.of(attempt.address):
                user = super().authenticate(request, username=username, password=password, **kwargs)
        except LoginsBusy:
            attempt.give_back()
            raise
        attempt.failed() if user is None else attempt.succeeded()
        return user


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A counted attempt."""

    user: User | None
    name: str
    address: str

    @classmethod
    def begin(cls, username: str, address: str) -> "_Attempt":
        """Count an attempt. Raises LockedOut."""
        user = None
        if "\x00" not in username:  # PostgreSQL's text has no NUL
            user = User.objects.filter(username=username).only("pk", "username").first()
        # Users sometimes type a password in the field of the name: don't store it.
        name = username if user is not None else fingerprint(username)
        [(failures, ends_at)] = COUNT_ATTEMPT.rows(
            name=name, address=address, max_failures=LIMIT, minutes=MINUTES
        )
        if failures > LIMIT:
            raise LockedOut(ends_at)
        return cls(user, name, address)

    def give_back(self) -> None:
        """Don't count it: no password was checked."""
        attempts = LoginAttempt.objects.filter(name=self.name, address=self.address)
        attempts.filter(failures__gt=0).update(failures=F("failures") - 1)

    def succeeded(self) -> None:
        LoginAttempt.objects.filter(name=self.name, address=self.address).delete()

    def failed(self) -> None:
        """Audit the first failure and the lock-out, not every attempt."""
        with audit.transaction():
            row = REPORT_FAILURE.one(name=self.name, address=self.address, max_failures=LIMIT)
            if row is None:
                return
            level, failures, ends_at = row
            locked = level == _LOCKOUT_LEVEL
            audit.record(
                Action.LOGIN_LOCKED if locked else Action.LOGIN_FAILED,
                actor="anonymous",
                object_id="" if self.user is None else str(self.user.pk),
                after={
                    "username": self.name,
                    "address": self.address,
                    "failures": failures,
                    **({"until": ends_at.isoformat()} if locked else {}),
                },
            )


def fingerprint(username: str) -> str:
    """Return a keyed hash of a name that no user has."""
    return f"unknown:{salted_hmac('orbit.login', username, algorithm='sha256').hexdigest()[:16]}"


def locked_logins() -> "QuerySet[LoginAttempt]":
    """Return the locked names and addresses, the latest end first."""
    return LoginAttempt.objects.filter(failures__gte=LIMIT, ends_at__gt=Now()).order_by("-ends_at")


def unlock(name: str, *, actor: Actor, reason: str) -> int:
    """Forget the attempts under ``name``; return the number of addresses. Raises NotLocked."""
    actor.require(Scope.ADMINISTER)
    actor.require_workspace()
    with audit.transaction():
        attempts = LoginAttempt.objects.filter(name=name)
        addresses = sorted(attempt.address for attempt in attempts.select_for_update())
        if not addresses:
            raise NotLocked(f"No login as {name!r} failed in the last {MINUTES} minutes.")
        attempts.delete()
        user = User.objects.filter(username=name).first()
        audit.record(
            Action.USER_CHANGED,
            actor=actor.name,
            object_id="" if user is None else str(user.pk),
            after={"username": name, "changed": "unlocked", "addresses": addresses},
            reason=reason,
        )
    return len(addresses)
