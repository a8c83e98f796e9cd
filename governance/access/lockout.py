"""The lock-out: attempts are counted by name and address together, by address, and by name.

An attempt is counted before its password is checked: parallel guesses can't pass a limit, and a
crash counts as a failure. A browser that the user has logged in from before has a count of its own.
"""

import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from governance import audit
from governance.access import devices, origin
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel import sql
from governance.kernel.errors import Kind, OrbitError
from governance.models import LoginAttempt

LIMIT = 5
#: Of one address, under any names; and of one name, from any addresses.
ADDRESS_LIMIT = NAME_LIMIT = 20
MINUTES = 15
#: No user is called so, and no address: a name has no spaces.
ANY_NAME, ANY_ADDRESS = "any name", "any address"
#: In place of an address: guesses of the old password, in a session.
CHANGE_FORM = "password form"
#: Of all strangers in ``MINUTES``: many addresses must not fill the trail.
MOST_RECORDED = 100
_LOCKOUT_LEVEL = 2
_LONGEST_NAME, _LONGEST_PASSWORD = 150, 4_096

COUNT_ATTEMPT = sql.load(__name__, "count_attempt")
GIVE_BACK = sql.load(__name__, "give_back_attempt")
REPORT_FAILURE = sql.load(__name__, "report_failure")


class LockedOut(OrbitError):
    """Too many wrong passwords for this name, or from this address."""

    code, kind = "locked_out", Kind.LOCKED

    def __init__(self, counter: "_Counter", until: datetime) -> None:
        """``until`` is when the lock ends."""
        super().__init__(
            f"{counter.limit} wrong passwords were entered {counter.words}. "
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
        attempt = _Attempt.begin(username, request)
        try:
            with TURNS.of(attempt.address):
                user = super().authenticate(request, username=username, password=password, **kwargs)
        except LoginsBusy:
            attempt.give_back()
            raise
        attempt.failed() if user is None else attempt.succeeded()
        return user


def check_old_password(user: User, password: str, request: HttpRequest) -> bool:
    """Return whether ``password`` is that of the logged-in ``user``. Raises as ``authenticate``.

    Counted apart: a guesser at a foreign session is limited, and no stranger gets in the way.
    """
    if len(password) > _LONGEST_PASSWORD:
        return False
    attempt = _Attempt.of_session(user, request)
    try:
        with TURNS.of(attempt.address):
            is_right = user.check_password(password)
    except LoginsBusy:
        attempt.give_back()
        raise
    attempt.succeeded() if is_right else attempt.failed()
    return is_right


@dataclass(slots=True)
class _Counter:
    """A row of attempts: of a name from an address, or of all of one of them."""

    name: str
    address: str
    limit: int
    words: str
    failures: int = 0

    def count(self) -> datetime:
        """Count an attempt; return when the count ends."""
        # Only a pair's time starts again with each attempt: a whole office shares an address.
        ends_at: datetime
        [(self.failures, ends_at)] = COUNT_ATTEMPT.rows(
            name=self.name,
            address=self.address,
            max_failures=self.limit,
            minutes=MINUTES,
            slides=self.name != ANY_NAME and self.address != ANY_ADDRESS,
        )
        return ends_at

    def give_back(self) -> None:
        GIVE_BACK.execute(name=self.name, address=self.address)

    def forget(self) -> None:
        LoginAttempt.objects.filter(name=self.name, address=self.address).delete()


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A counted attempt. ``pair`` is the count of its name from its address."""

    user: User | None
    address: str
    pair: _Counter
    others: tuple[_Counter, ...]
    actor: str = "anonymous"

    @classmethod
    def of_session(cls, user: User, request: HttpRequest) -> "_Attempt":
        """Count an attempt to give the old password. Raises LockedOut."""
        pair = _Counter(user.username, CHANGE_FORM, LIMIT, "as your old one")
        attempt = cls(user, origin.address(request), pair, (), user.username)
        attempt._count()
        return attempt

    @classmethod
    def begin(cls, username: str, request: HttpRequest) -> "_Attempt":
        """Count an attempt. Raises LockedOut."""
        user = None
        if "\x00" not in username:  # PostgreSQL's text has no NUL
            user = User.objects.filter(username=username).only("pk", "username").first()
        # Users sometimes type a password in the field of the name: don't store it.
        name = username if user is not None else fingerprint(username)
        address = origin.address(request)
        device = devices.known(request, user.pk) if user is not None else None
        others: tuple[_Counter, ...] = ()
        if device is None:
            others = (
                _Counter(ANY_NAME, address, ADDRESS_LIMIT, "from your address"),
                _Counter(name, ANY_ADDRESS, NAME_LIMIT, "for this name"),
            )
        pair = _Counter(
            name,
            address if device is None else f"browser {device}",
            LIMIT,
            "for this name from your address",
        )
        attempt = cls(user, address, pair, others)
        attempt._count()
        return attempt

    def _count(self) -> None:
        # The address comes first, so that a flood of names leaves no rows.
        counted: list[_Counter] = []
        for counter in (*self.others[:1], self.pair, *self.others[1:]):
            ends_at = counter.count()
            if counter.failures > counter.limit:
                # What is refused here is no guess for the others.
                for other in counted:
                    other.give_back()
                raise LockedOut(counter, ends_at)
            counted.append(counter)

    def give_back(self) -> None:
        """Don't count it: no password was checked."""
        for counter in (self.pair, *self.others):
            counter.give_back()

    def succeeded(self) -> None:
        """Forget the pair's failures; the others stay, or a guesser with a login could go on."""
        self.pair.forget()
        for counter in self.others:
            counter.give_back()

    def failed(self) -> None:
        """Audit first failures and lock-outs, not every attempt."""
        full = [other for other in self.others if other.failures >= other.limit]
        if self.user is not None:
            reported = [self.pair, *full]
        elif self._is_recorded():
            # Unknown names: one entry for the address, and one if it is locked.
            reported = list(self.others[:1])
        else:
            return
        with audit.transaction():
            for counter in reported:
                self._report(counter)

    def _is_recorded(self) -> bool:
        """Return whether an entry about an unknown name is due, and few were made of late."""
        address = self.others[0]
        if 1 < address.failures < address.limit:
            told = LoginAttempt.objects.filter(name=ANY_NAME, address=self.address, told__gt=0)
            if told.exists():
                return False
        everywhere = _Counter(ANY_NAME, ANY_ADDRESS, MOST_RECORDED, "")
        everywhere.count()
        return everywhere.failures <= everywhere.limit

    def _report(self, counter: _Counter) -> None:
        row = REPORT_FAILURE.one(
            name=counter.name, address=counter.address, max_failures=counter.limit
        )
        if row is None:
            return
        level, failures, ends_at = row
        locked = level == _LOCKOUT_LEVEL
        audit.record(
            Action.LOGIN_LOCKED if locked else Action.LOGIN_FAILED,
            actor=self.actor,
            object_id="" if self.user is None else str(self.user.pk),
            after={
                # The name of an attempt, unless any name from the address is locked.
                "username": counter.name if locked else self.pair.name,
                "address": counter.address if counter.address == ANY_ADDRESS else self.address,
                "failures": failures,
                **({"until": ends_at.isoformat()} if locked else {}),
            },
        )


def fingerprint(username: str) -> str:
    """Return a keyed hash of a name that no user has."""
    # As the log-in form reads a name. In other capitals it is another name, as a user's is: a lock
    # for both would tell that no user is called so.
    plain = unicodedata.normalize("NFKC", username).strip()
    return f"unknown:{salted_hmac('orbit.login', plain, algorithm='sha256').hexdigest()[:16]}"


def locked_logins() -> "QuerySet[LoginAttempt]":
    """Return the locked names and addresses, the latest end first."""
    one, all_names = Q(name=ANY_NAME), Q(address=ANY_ADDRESS)
    full = (
        Q(failures__gte=LIMIT) & ~one & ~all_names
        | Q(failures__gte=ADDRESS_LIMIT) & one & ~all_names
        | Q(failures__gte=NAME_LIMIT) & all_names & ~one
    )
    return LoginAttempt.objects.filter(full, ends_at__gt=Now()).order_by("-ends_at")


def unlock(name: str, *, actor: Actor, reason: str, address: str = "") -> int:
    """Forget the attempts under ``name`` and from its addresses; return the number of addresses.

    ``ANY_NAME`` is for one ``address``. Raises NotLocked.
    """
    actor.require(Scope.ADMINISTER)
    actor.require_workspace()
    with audit.transaction():
        attempts = LoginAttempt.objects.filter(name=name)
        if name == ANY_NAME:
            attempts = attempts.filter(address=address)
        addresses = sorted(attempt.address for attempt in attempts.select_for_update())
        if not addresses:
            raise NotLocked(f"No login as {name!r} failed in the last {MINUTES} minutes.")
        attempts.delete()
        LoginAttempt.objects.filter(name=ANY_NAME, address__in=addresses).exclude(
            address=ANY_ADDRESS
        ).delete()
        user = User.objects.filter(username=name).first()
        addresses = [item for item in addresses if item != ANY_ADDRESS]
        audit.record(
            Action.USER_CHANGED,
            actor=actor.name,
            object_id="" if user is None else str(user.pk),
            after={"username": name, "changed": "unlocked", "addresses": addresses},
            reason=reason,
        )
    return len(addresses)
