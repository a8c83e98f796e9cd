"""Authentication by a bearer token or by the console's session."""

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from governance.access import actors, tokens
from governance.access.actors import Actor
from governance.rest import csrf


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer <api token>``."""

    def authenticate(self, request: Request) -> tuple[User, Actor] | None:
        """Return the token's owner and Actor. Raises AuthenticationFailed."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        caller = tokens.authenticate(token.strip())
        if caller is None:
            raise exceptions.AuthenticationFailed("This token is unknown, revoked or expired.")
        return caller

    def authenticate_header(self, request: Request) -> str:
        """Return the ``WWW-Authenticate`` header of a 401."""
        return "Bearer"


class _Csrf(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> str:
        # The middleware would answer with a page; the API raises its own refusal instead.
        return reason


class SessionAuthentication(BaseAuthentication):
    """The console's session; writes need ``X-CSRFToken``."""

    def authenticate(self, request: Request) -> tuple[User, Actor] | None:
        """Return the user and their Actor. Raises PermissionDenied without a CSRF token."""
        plain: HttpRequest = request._request
        user = getattr(plain, "user", None)
        # As the console: who may not use it any more has no session.
        if not isinstance(user, User) or not user.is_active or not user.is_staff:
            return None
        if plain.method not in {"GET", "HEAD", "OPTIONS"}:
            check = _Csrf(lambda _: HttpResponse())
            check.process_request(plain)
            reason = check.process_view(plain, lambda _: None, (), {})  # type: ignore[arg-type, return-value]
            if reason:
                raise exceptions.PermissionDenied(f"CSRF: {csrf.explain(plain, str(reason))}")
        return user, actors.of_user(user)
