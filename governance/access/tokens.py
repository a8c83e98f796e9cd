"""API tokens: made once, shown once, kept as a hash, never more than their owner."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from governance import audit
from governance.access import actors
from governance.access.actors import Actor, NamespaceUnknown
from governance.access.roles import SCOPES, Scope
from governance.audit.actions import Action
from governance.kernel.errors import Kind, OrbitError
from governance.models import ApiToken, Namespace

PREFIX = "orbit_"
LONGEST_DAYS = 3650
UNUSED_DAYS = 90
_LONGEST_NAME = 100
_USE_RESOLUTION_SECONDS = 60


class TokenState(StrEnum):
    """Whether a token works, and if not, why."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"
    OWNER_INACTIVE = "owner_inactive"


class ScopeUnknown(OrbitError):
    """There is no such scope."""

    code, kind = "unknown_scope", Kind.INVALID


class ExpiryInvalid(OrbitError):
    """A token lives for 1 to 3650 days."""

    code, kind = "invalid_expiry", Kind.INVALID


class TokenNameInvalid(OrbitError):
    """A token's name is at most 100 visible characters."""

    code, kind = "invalid_name", Kind.INVALID


class TokenUnknown(OrbitError):
    """There is no such token."""

    code, kind = "unknown_token", Kind.MISSING


def digest(raw: str) -> str:
    """Return what is kept of the token ``raw``. It has 256 random bits, so a plain SHA-256 can't be guessed back."""
    return hashlib.sha256(raw.encode()).hexdigest()


def expiry(days: int | None) -> datetime | None:
    """Return when a token ends that lives for ``days``; None is never. Raises ExpiryInvalid."""
    if days is None:
        return None
    if not 0 < days <= LONGEST_DAYS:
        raise ExpiryInvalid
    return timezone.now() + timedelta(days=days)


def create(
    owner: User,
    *,
    scopes: Iterable[str],
    actor: Actor,
    namespaces: Iterable[str] | None = None,
    name: str = "",
    expires_at: datetime | None = None,
    reason: str = "",
) -> tuple[ApiToken, str]:
    """Make a token for ``owner``; return its row and its text, which is never to be had again.

    Raises ScopeUnknown, TokenNameInvalid, or NamespaceUnknown for a namespace that doesn't exist. Administrators of the whole workspace only.
    """
    _refuse(actor)
    wanted = sorted(set(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        raise ScopeUnknown(
            f"{', '.join(unknown)} is not among {', '.join(SCOPES)}."
            if unknown
            else f"Name a scope: {', '.join(SCOPES)}."
        )
    if len(name) > _LONGEST_NAME or not (name.isprintable() or not name):
        raise TokenNameInvalid
    confined = None if namespaces is None else _known(namespaces)
    raw = PREFIX + secrets.token_urlsafe(32)
    with audit.transaction():
        token = ApiToken.objects.create(
            owner=owner,
            name=name,
            prefix=raw[: len(PREFIX) + 6],
            token_hash=digest(raw),
            scopes=wanted,
            namespaces=confined,
            expires_at=expires_at,
        )
        audit.record(
            Action.TOKEN_CREATED,
            actor=actor.name,
            object_id=str(token.pk),
            after={
                "owner": owner.username, "prefix": token.prefix, "name": name, "scopes": wanted, "namespaces": confined,
                "expires_at": None if expires_at is None else expires_at.isoformat(),
            },
            reason=reason,
        )  # fmt: skip
    return token, raw


def revoke(token: ApiToken, *, actor: Actor, reason: str = "") -> bool:
    """End ``token``; return False when it had ended already. It works no more from the next request on."""
    _refuse(actor)
    with audit.transaction():
        changed = ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(
            revoked_at=Now()
        )
        if changed:
            after = {"owner": token.owner.username, "prefix": token.prefix, "name": token.name}
            audit.record(
                Action.TOKEN_REVOKED,
                actor=actor.name,
                object_id=str(token.pk),
                after=after,
                reason=reason,
            )
    return bool(changed)


def find(words: str) -> ApiToken:
    """Return the token of that number, or whose first characters those are. Raises TokenUnknown, also where they fit several."""
    rows = ApiToken.objects.select_related("owner")
    known = list(
        rows.filter(pk=words)
        if words.isascii() and words.isdigit() and len(words) < 19
        else rows.filter(prefix=words.rstrip("."))[:2]
    )
    if len(known) != 1:
        raise TokenUnknown(
            f"{'No token is' if not known else 'Several tokens are'} called {words!r}. Name it by its number: `manage.py token list`."
        )
    return known[0]


def listed(*, limit: int) -> "QuerySet[ApiToken]":
    """Return the newest tokens with their owners; one query."""
    return ApiToken.objects.select_related("owner").order_by("-id")[:limit]


def state(token: ApiToken) -> TokenState:
    """Return whether ``token`` works now."""
    if token.revoked_at is not None:
        return TokenState.REVOKED
    if token.expires_at is not None and token.expires_at <= timezone.now():
        return TokenState.EXPIRED
    return TokenState.ACTIVE if token.owner.is_active else TokenState.OWNER_INACTIVE


def unused(token: ApiToken) -> bool:
    """Tell whether a token that works served nobody for ``UNUSED_DAYS``: somebody should ask whether it is needed."""
    return state(token) == TokenState.ACTIVE and (
        token.last_used_at or token.created_at
    ) < timezone.now() - timedelta(days=UNUSED_DAYS)


def document(token: ApiToken) -> dict[str, Any]:
    """Return what may be known of ``token``."""
    return {
        "id": token.pk,
        "prefix": token.prefix,
        "name": token.name,
        "owner": token.owner.username,
        "scopes": token.scopes,
        "namespaces": token.namespaces,
        "state": str(state(token)),
        "unused": unused(token),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
        "revoked_at": token.revoked_at,
    }


def authenticate(raw: str) -> tuple[User, Actor] | None:
    """Return the owner of the token ``raw`` and what it may do; None for one that is unknown, ended, expired, or of an inactive owner."""
    if not raw.startswith(PREFIX) or len(raw) > 100:
        return None
    token = (
        ApiToken.objects.select_related("owner")
        .filter(token_hash=digest(raw), revoked_at__isnull=True, owner__is_active=True)
        .first()
    )
    now = timezone.now()
    if token is None or (token.expires_at is not None and token.expires_at <= now):
        return None
    if (
        token.last_used_at is None
        or (now - token.last_used_at).total_seconds() > _USE_RESOLUTION_SECONDS
    ):
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=Now())
    owner = actors.of_user(token.owner)
    namespaces = owner.namespaces
    if token.namespaces is not None:
        namespaces = (
            frozenset(token.namespaces)
            if namespaces is None
            else namespaces & frozenset(token.namespaces)
        )
    scopes = owner.scopes & frozenset(Scope(scope) for scope in token.scopes)
    return token.owner, Actor(
        name=owner.name, user_id=owner.user_id, scopes=scopes, namespaces=namespaces
    )


def _refuse(actor: Actor) -> None:
    """Raise NotAllowed for whoever isn't an administrator of the whole workspace."""
    actor.require(Scope.ADMINISTER)
    actor.require_workspace()


def _known(names: Iterable[str]) -> list[str]:
    wanted = sorted(set(names))
    known = set(Namespace.objects.filter(name__in=wanted).values_list("name", flat=True))
    for name in wanted:
        if name not in known:
            raise NamespaceUnknown(f"There is no namespace {name!r}.")
    return wanted
