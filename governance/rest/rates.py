"""How many requests a minute: counted by the database, by one statement, so that all processes and machines share one count.

A token and a logged-in person have their own; who shows neither is counted by address. A caller who is let in never pays for strangers
that share the address. The table is unlogged, and the count commits by itself before anything else is asked: a request that waits holds
no lock. Of any number at once exactly the limit gets through. After a crash of the database the counts begin anew.
"""

from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import User
from rest_framework import exceptions
from rest_framework.request import Request

from governance.access import origin, tokens
from governance.access.actors import Actor
from governance.kernel import sql

WINDOW_SECONDS = 60

COUNT_REQUEST = sql.load(__name__, "count_request")


@dataclass(frozen=True, slots=True)
class RateStatus:
    """What a caller has left in this minute, and in how many seconds the next one begins."""

    limit: int
    left: int
    seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """Return it as the RateLimit fields of the IETF's draft."""
        return {
            "RateLimit-Policy": f'"minute";q={self.limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"minute";r={self.left};t={self.seconds}',
        }


class TooMany(exceptions.Throttled):
    """Over the limit; ``wait`` are the seconds until the next minute."""

    def __init__(self, rate_status: RateStatus) -> None:
        super().__init__(
            wait=rate_status.seconds,
            detail=f"More than {rate_status.limit} requests in this minute.",
        )
        self.rate_status = rate_status


def count(caller: str) -> RateStatus:
    """Count one request of ``caller``; raises TooMany over ORBIT_RATE_LIMIT."""
    requests, seconds = COUNT_REQUEST.rows(caller=caller)[0]
    limit: int = settings.ORBIT_RATE_LIMIT
    rate_status = RateStatus(limit, max(0, limit - requests), max(1, seconds))
    if requests > limit:
        raise TooMany(rate_status)
    return rate_status


def caller(request: Request) -> str:
    """Return whose count a request belongs to; call it once it is known who that is."""
    if not isinstance(request.auth, Actor):
        return f"address {origin.address(request._request)}"
    scheme, _, raw = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return f"token {tokens.digest(raw.strip())[:32]}"
    user = request.user
    return f"user {user.pk}" if isinstance(user, User) else "nobody"
