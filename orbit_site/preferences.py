"""What a user prefers: time zone, single keys. It is kept in cookies of the browser."""

from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from governance.kernel import cron_fields

ZONE, KEYS, READ = "orbit_zone", "orbit_keys", "orbit_read"
_A_YEAR = 365 * 86_400


def zone(request: HttpRequest) -> ZoneInfo:
    """Return the zone of the times on the user's pages."""
    name = request.COOKIES.get(ZONE, "")
    return ZoneInfo(name if cron_fields.is_time_zone(name) else settings.TIME_ZONE)


def keys(request: HttpRequest) -> bool:
    """Return whether single keys are commands."""
    return request.COOKIES.get(KEYS) != "off"


def remember(answer: HttpResponse, name: str, value: str) -> None:
    """Store a preference; "" removes it."""
    if not value:
        answer.delete_cookie(name, path=reverse("admin:index"), samesite="Lax")
        return
    answer.set_cookie(
        name,
        value,
        max_age=_A_YEAR,
        path=reverse("admin:index"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
