"""Ping ORBIT_HEARTBEAT_URL for a monitor outside: a dead Orbit can't report itself.

Each evaluation of the alerts earns one ping. It runs through the queue, so an Orbit whose clusters,
queue or database stand still sends none. Of several clusters one sends it.
"""

from datetime import timedelta

from django.conf import settings
from django.db.models import F, Q
from django.db.models.functions import Now

from governance.kernel import pg_text
from governance.models import AlertWatch
from orbit.outbound import client, redaction

#: The deadline of a ping.
SECONDS = 10.0


def ping_if_due() -> bool:
    """Ping if an evaluation was made since the last ping; return whether it did."""
    if not settings.ORBIT_HEARTBEAT_URL:
        return False
    is_due = Q(pinged_at__isnull=True) | Q(pinged_at__lt=F("evaluated_at"))
    # From before the clock went back. One a little ahead is of a cluster that was faster.
    is_due |= Q(pinged_at__gt=Now() + timedelta(seconds=SECONDS))
    # A compare-and-set: of two clusters, the second one's update matches no row.
    if not AlertWatch.objects.filter(is_due, id=1, evaluated_at__isnull=False).update(
        pinged_at=Now()
    ):
        return False
    error = _ping(settings.ORBIT_HEARTBEAT_URL)
    outcome = {"ping_error": error} if error else {"ping_error": "", "ping_succeeded_at": Now()}
    AlertWatch.objects.filter(id=1).update(**outcome)
    return True


def _ping(url: str) -> str:
    """GET the address; return what went wrong, or nothing."""
    secrets = redaction.secrets_of_url(url)
    request = client.Request("GET", url, {}, b"", SECONDS / 2, SECONDS, SECONDS, None, secrets)
    answer = client.send(request, allowed=settings.ORBIT_DISPATCH_ALLOWED_HOSTS)
    if answer.status is not None and 200 <= answer.status < 300:
        return ""
    text = answer.error or answer.refusal
    return pg_text.clean(redaction.mask(text.encode(), secrets).decode("utf-8", "replace"))[:500]
