"""Browsers that a user has logged in from: strangers' wrong passwords don't lock them out.

The device cookie of OWASP's "Slow Down Online Guessing Attacks with Device Cookies". It gives no
permission: it only has its attempts counted apart.
"""

import secrets

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

COOKIE = "orbit_device"
_DAYS = 180
_SECONDS = _DAYS * 24 * 3600
_signer = signing.TimestampSigner(salt="orbit.device")


def known(request: HttpRequest, user_id: int) -> str | None:
    """Return the name of the browser if ``user_id`` has logged in from it."""
    try:
        value = _signer.unsign_object(request.COOKIES.get(COOKIE, ""), max_age=_SECONDS)
        owner, device = value
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return str(device) if owner == user_id else None


def remember(request: HttpRequest, response: HttpResponse, user_id: int) -> None:
    """Set the cookie that ``known`` reads."""
    device = known(request, user_id) or secrets.token_hex(8)
    response.set_cookie(
        COOKIE,
        _signer.sign_object([user_id, device]),
        max_age=_SECONDS,
        path="/admin/login/",
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )
