"""The rate limit: requests a minute, counted in the database for all processes."""

from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from rest_framework import exceptions
from rest_framework.request import Request

from governance.access import origin, tokens
from governance.access.actors import Actor
from governance.kernel import sql

WINDOW_SECONDS = 60
# No caller is named so: the others begin with their kind.
_PROBE = "ready"

COUNT_REQUEST = sql.load(__name__, "count_request")


@dataclass(frozen=True, slots=True)
class RateStatus:
    """What is left of a limit, and the seconds until the next minute."""

    limit: int
    left: int
    seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """The RateLimit header fields of the IETF's draft."""
        return {
            "RateLimit-Policy": f'"minute";q={self.limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"minute";r={self.left};t={self.seconds}',
        }


class TooMany(exceptions.Throttled):
    """The caller is over the limit."""

    def __init__(self, rate_status: RateStatus) -> None:
        super().__init__(
            wait=rate_status.seconds,
            detail=f"More than {rate_status.limit} requests in this minute.",
        )
        self.rate_status = rate_status


def count(caller: str) -> RateStatus:
    """Count one request of ``caller``. Raises TooMany over ORBIT_RATE_LIMIT."""
    # Commits by itself, before any other work: a waiting request holds no lock. The table is
    # unlogged, so a crash of the database starts the counts anew.
    requests, seconds = COUNT_REQUEST.send(caller=caller)[0]
    limit: int = settings.ORBIT_RATE_LIMIT
    rate_status = RateStatus(limit, max(0, limit - requests), max(1, seconds))
    if requests > limit:
        raise TooMany(rate_status)
    return rate_status


def probe() -> None:
    """Write what every request writes first, and undo it. Raises if the database refuses."""
    with transaction.atomic():
        COUNT_REQUEST.rows(caller=_PROBE)
        transaction.set_rollback(True)


def caller(request: Request) -> str:
    """Return the name under which a request is counted."""
    if not isinstance(request.auth, Actor):
        # Only the others are counted by address: a valid caller never pays for strangers behind the
        # same address.
        return f"address {origin.address(request._request)}"
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return f"token {tokens.digest(token.strip())[:32]}"
    user = request.user
    return f"user {user.pk}" if isinstance(user, User) else "unknown user"
