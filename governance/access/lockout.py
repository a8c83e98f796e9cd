"""The lock-out: who tries passwords for a name is stopped after some, at the address that he tries from.

An attempt is counted before its password is looked at, by one statement, so of any number at once no more than ``LIMIT`` are
tried. Name and address count together: somebody elsewhere can't lock a person out. A success forgets the count. What was typed for a name that nobody
has is kept as a fingerprint only, since now and then it is a password. After a crash in the middle an attempt counts as failed.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from governance import audit
from governance.access import origin
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel.errors import Kind, OrbitError
from governance.models import LoginAttempt

LIMIT = 5
MINUTES = 15

# Attempts beyond the limit don't move the end: nobody is locked for ever by one who goes on.
TAKE = """INSERT INTO governance_loginattempt AS kept (name, address, failures, told, since, ends_at)
VALUES (%(name)s, %(address)s, 1, 0, now(), now() + %(minutes)s * interval '1 minute')
ON CONFLICT (name, address) DO UPDATE SET
    failures = CASE WHEN kept.ends_at <= now() THEN 1 ELSE least(kept.failures + 1, %(limit)s + 1) END,
    told = CASE WHEN kept.ends_at <= now() THEN 0 ELSE kept.told END,
    since = CASE WHEN kept.ends_at <= now() THEN now() ELSE kept.since END,
    ends_at = CASE WHEN kept.ends_at <= now() OR kept.failures < %(limit)s THEN now() + %(minutes)s * interval '1 minute' ELSE kept.ends_at END
RETURNING failures, ends_at"""
# The first that finds something untold tells it.
TELL = """UPDATE governance_loginattempt SET told = CASE WHEN failures >= %(limit)s THEN 2 ELSE 1 END
WHERE name = %(name)s AND address = %(address)s AND told < CASE WHEN failures >= %(limit)s THEN 2 ELSE 1 END RETURNING told, failures, ends_at"""
FORGET = "DELETE FROM governance_loginattempt WHERE name = %(name)s AND address = %(address)s"


class LockedOut(OrbitError):
    """Too many wrong passwords for this name from this address."""

    code, kind = "locked_out", Kind.LOCKED

    def __init__(self, until: datetime) -> None:
        """``until`` is when the next attempt is looked at."""
        super().__init__(
            f"There were {LIMIT} wrong passwords for this name from your address. No other is looked at until {until:%H:%M} UTC. "
            "An administrator can unlock it before (Access in the console, or `manage.py user unlock`)."
        )
        self.until = until


class NotLocked(OrbitError):
    """No login under this name failed lately."""

    code, kind = "not_locked", Kind.MISSING


class GuardedBackend(ModelBackend):
    """Django's own check of name and password, behind the lock-out."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        """Return the person, or None. Raises LockedOut, which no form takes for a wrong password."""
        if request is None or username is None or password is None:
            return super().authenticate(request, username=username, password=password, **kwargs)
        attempt = _Attempt.take(username, origin.address(request))
        found = super().authenticate(request, username=username, password=password, **kwargs)
        attempt.failed() if found is None else attempt.succeeded()
        return found


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One attempt that was let through."""

    user: User | None
    name: str
    address: str

    @classmethod
    def take(cls, username: str, address: str) -> "_Attempt":
        """Count an attempt. Raises LockedOut where there were too many."""
        user = (
            User.objects.filter(username=username).only("pk", "username").first()
            if "\x00" not in username
            else None
        )
        attempt = cls(user, username if user is not None else fingerprint(username), address)
        with connection.cursor() as cursor:
            cursor.execute(TAKE, {**attempt._row, "minutes": MINUTES, "limit": LIMIT})
            failures, ends_at = cursor.fetchone()
        if failures > LIMIT:
            raise LockedOut(ends_at)
        return attempt

    @property
    def _row(self) -> dict[str, Any]:
        return {"name": self.name, "address": self.address}

    def succeeded(self) -> None:
        """Forget what failed before."""
        with connection.cursor() as cursor:
            cursor.execute(FORGET, self._row)

    def failed(self) -> None:
        """Tell the audit trail: once that a login failed, once that the name is locked; not each of a thousand attempts."""
        with audit.transaction():
            with connection.cursor() as cursor:
                cursor.execute(TELL, {**self._row, "limit": LIMIT})
                row = cursor.fetchone()
            if row is None:
                return
            told, failures, ends_at = row
            after = {"username": self.name, "address": self.address, "failures": failures}
            audit.record(
                Action.LOGIN_LOCKED if told > 1 else Action.LOGIN_FAILED,
                actor="anonymous",
                object_id="" if self.user is None else str(self.user.pk),
                after={**after, "until": ends_at.isoformat()} if told > 1 else after,
            )


def fingerprint(username: str) -> str:
    """Return what is kept of a name that nobody has: always the same for one, and nobody can guess it back without our secret key."""
    return f"unknown:{salted_hmac('orbit.login', username, algorithm='sha256').hexdigest()[:16]}"


def unlock(name: str, *, actor: Actor, reason: str) -> int:
    """Forget the attempts under ``name`` from every address; return from how many. Raises NotLocked where there are none."""
    actor.require(Scope.ADMINISTER)
    actor.require_workspace()
    with audit.transaction():
        addresses = sorted(
            row.address for row in LoginAttempt.objects.select_for_update().filter(name=name)
        )
        if not addresses:
            raise NotLocked(f"No login as {name!r} failed in the last {MINUTES} minutes.")
        LoginAttempt.objects.filter(name=name).delete()
        user = User.objects.filter(username=name).first()
        audit.record(
            Action.USER_CHANGED,
            actor=actor.name,
            object_id="" if user is None else str(user.pk),
            after={"username": name, "changed": "unlocked", "addresses": addresses},
            reason=reason,
        )
    return len(addresses)
