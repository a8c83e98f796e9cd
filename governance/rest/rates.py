"""How many requests a minute: counted by the database, by one statement, so that all processes and machines share one count.

A token and a logged-in person have their own; who shows neither is counted by address. A caller who is let in never pays for strangers
that share the address. The table is unlogged, and the count commits by itself before anything else is asked: a request that waits holds
no lock. Of any number at once exactly the limit gets through. After a crash of the database the counts begin anew.
"""

from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from rest_framework import exceptions
from rest_framework.request import Request

from governance.access import origin, tokens
from governance.access.actors import Actor

WINDOW_SECONDS = 60

# A request that waited for the row over the turn of the minute counts in the newer one.
COUNT = """INSERT INTO governance_requestcount AS kept (caller, minute, requests) VALUES (%(caller)s, date_trunc('minute', clock_timestamp()), 1)
ON CONFLICT (caller) DO UPDATE SET minute = greatest(kept.minute, excluded.minute),
    requests = CASE WHEN kept.minute >= excluded.minute THEN kept.requests + 1 ELSE 1 END
RETURNING requests, ceil(extract(epoch FROM minute + interval '1 minute' - clock_timestamp()))::int"""


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
    with connection.cursor() as cursor:
        cursor.execute(COUNT, {"caller": caller})
        requests, seconds = cursor.fetchone()
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
