"""API tokens: shown once, stored as a hash."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.db.models.functions import Now

from governance import audit
from governance.access import actors
from governance.access.actors import Actor, NamespaceUnknown
from governance.access.roles import SCOPES, Scope
from governance.audit.actions import Action
from governance.kernel import clock, sql
from governance.kernel.errors import Kind, OrbitError
from governance.models import ApiToken, Namespace

PREFIX = "orbit_"
LONGEST_DAYS = 3650
UNUSED_DAYS = 90
_SHOWN_CHARACTERS = 6
_LONGEST_NAME = 100
_LONGEST_TOKEN = 100
_LONGEST_ID = 18  # digits that fit a bigint
_USE_RESOLUTION_SECONDS = 60  # so that not each request writes
_OWNER = [field.attname for field in User._meta.concrete_fields]
READ_TOKEN = sql.load(
    __name__,
    "read_token",
    grants_of=actors.GRANTS_OF,
    columns=", ".join(f"u.{field.column}" for field in User._meta.concrete_fields),
)


class TokenState(StrEnum):
    """Whether a token works, or why not."""

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
    """Return the hash of the token ``raw``."""
    # A token has 256 random bits, so it needs no slow hash.
    return hashlib.sha256(raw.encode()).hexdigest()


def expiry(days: int | None) -> datetime | None:
    """Return the time in ``days``; None is never. Raises ExpiryInvalid."""
    if days is None:
        return None
    if not 0 < days <= LONGEST_DAYS:
        raise ExpiryInvalid
    return clock.read() + timedelta(days=days)


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
    """Create a token; return its row and its text, which isn't stored.

    Raises NotAllowed, ScopeUnknown, TokenNameInvalid, NamespaceUnknown.
    """
    _require_administrator(actor)
    granted = _scopes(scopes)
    if len(name) > _LONGEST_NAME or not (name.isprintable() or not name):
        raise TokenNameInvalid
    confined_to = None if namespaces is None else _existing(namespaces)
    raw = PREFIX + secrets.token_urlsafe(32)
    with audit.transaction():
        token = ApiToken.objects.create(
            owner=owner,
            name=name,
            prefix=raw[: len(PREFIX) + _SHOWN_CHARACTERS],
            token_hash=digest(raw),
            scopes=granted,
            namespaces=confined_to,
            expires_at=expires_at,
        )
        audit.record(
            Action.TOKEN_CREATED,
            actor=actor.name,
            object_id=str(token.pk),
            after={
                "owner": owner.username,
                "prefix": token.prefix,
                "name": name,
                "scopes": granted,
                "namespaces": confined_to,
                "expires_at": None if expires_at is None else expires_at.isoformat(),
            },
            reason=reason,
        )
    return token, raw


def revoke(token: ApiToken, *, actor: Actor, reason: str = "") -> bool:
    """Revoke ``token``; return False if it was revoked already."""
    _require_administrator(actor)
    with audit.transaction():
        # Of two calls, one revokes it and writes the entry.
        revoked = ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(
            revoked_at=Now()
        )
        if revoked:
            audit.record(
                Action.TOKEN_REVOKED,
                actor=actor.name,
                object_id=str(token.pk),
                after={"owner": token.owner.username, "prefix": token.prefix, "name": token.name},
                reason=reason,
            )
    return bool(revoked)


def find(text: str) -> ApiToken:
    """Return the one token with that number or prefix. Raises TokenUnknown."""
    rows = ApiToken.objects.select_related("owner")
    is_number = text.isascii() and text.isdigit() and len(text) <= _LONGEST_ID
    # Lists show a prefix with dots after it.
    tokens = list(rows.filter(pk=text) if is_number else rows.filter(prefix=text.rstrip("."))[:2])
    if len(tokens) != 1:
        raise TokenUnknown(
            f"{'Several tokens are' if tokens else 'No token is'} called {text!r}. "
            "Use the number that `manage.py token list` shows."
        )
    return tokens[0]


def newest(*, limit: int) -> "QuerySet[ApiToken]":
    """Return the newest tokens with their owners."""
    return ApiToken.objects.select_related("owner").order_by("-id")[:limit]


def state(token: ApiToken) -> TokenState:
    """Return the state of ``token`` now."""
    if token.revoked_at is not None:
        return TokenState.REVOKED
    if token.expires_at is not None and token.expires_at <= clock.now():
        return TokenState.EXPIRED
    return TokenState.ACTIVE if token.owner.is_active else TokenState.OWNER_INACTIVE


def unused(token: ApiToken) -> bool:
    """Return whether an active token wasn't used for ``UNUSED_DAYS``."""
    last_use = token.last_used_at or token.created_at
    return state(token) == TokenState.ACTIVE and (
        last_use < clock.now() - timedelta(days=UNUSED_DAYS)
    )


def to_dict(token: ApiToken) -> dict[str, Any]:
    """Return what users may see of ``token``."""
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
    """Return the owner and actor of the token ``raw``; None if it doesn't work."""
    if not raw.startswith(PREFIX) or len(raw) > _LONGEST_TOKEN:
        return None
    # One prepared statement, because each request makes it.
    rows = READ_TOKEN.send(hash=digest(raw), seconds=_USE_RESOLUTION_SECONDS)
    if not rows:
        return None
    [(token_id, scopes, confined_to, is_unused, role_names, granted, *columns)] = rows
    if is_unused:
        ApiToken.objects.filter(pk=token_id).update(last_used_at=Now())
    user = User.from_db("default", _OWNER, columns)
    owner = actors.granted(user, role_names, granted)
    namespaces = owner.namespaces
    if confined_to is not None:
        confined = frozenset(confined_to)
        namespaces = confined if namespaces is None else namespaces & confined
    # Never more than its owner may do now.
    may = owner.scopes & frozenset(Scope(scope) for scope in scopes)
    return user, replace(owner, scopes=may, namespaces=namespaces, token_id=token_id)


def _require_administrator(actor: Actor) -> None:
    actor.require(Scope.ADMINISTER)
    actor.require_workspace()


def _scopes(names: Iterable[str]) -> list[str]:
    scopes = sorted(set(names))
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown:
        raise ScopeUnknown(f"{', '.join(unknown)} is not among {', '.join(SCOPES)}.")
    if not scopes:
        raise ScopeUnknown(f"Name a scope: {', '.join(SCOPES)}.")
    return scopes


def _existing(names: Iterable[str]) -> list[str]:
    """Return ``names``, sorted. Raises NamespaceUnknown."""
    namespaces = sorted(set(names))
    existing = set(Namespace.objects.filter(name__in=namespaces).values_list("name", flat=True))
    for name in namespaces:
        if name not in existing:
            raise NamespaceUnknown(f"There is no namespace {name!r}.")
    return namespaces
