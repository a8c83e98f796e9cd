"""API tokens: made once, shown once, kept as a hash, never more than their owner."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.utils import timezone

from governance.access import actors
from governance.access.actors import Actor
from governance.access.roles import SCOPES, Power
from governance.audit import trail
from governance.kernel.errors import Kind, OrbitError
from governance.models import ApiToken

PREFIX = "orbit_"
_USE_RESOLUTION_SECONDS = 60


class ScopeUnknown(OrbitError):
    """There is no such scope."""

    code, kind = "unknown_scope", Kind.INVALID


def digest(raw: str) -> str:
    """Return what is kept of the token ``raw``. It has 256 random bits, so a plain SHA-256 can't be guessed back."""
    return hashlib.sha256(raw.encode()).hexdigest()


def create(
    owner: User, *, scopes: Iterable[str], actor: Actor, namespaces: Iterable[str] | None = None, name: str = "", expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """Make a token for ``owner``; return its row and its text, which is never to be had again.

    Raises ScopeUnknown, or NamespaceUnknown for a namespace that doesn't exist or that the actor doesn't see.
    """
    wanted = sorted(set(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        raise ScopeUnknown(f"{', '.join(unknown)} is not among {', '.join(SCOPES)}." if unknown else f"Name a scope: {', '.join(SCOPES)}.")
    confined = None if namespaces is None else sorted(set(namespaces))
    for namespace in confined or []:
        actor.require_namespace(namespace)
    raw = PREFIX + secrets.token_urlsafe(32)
    with trail.deed():
        token = ApiToken.objects.create(
            owner=owner, name=name, prefix=raw[: len(PREFIX) + 6], token_hash=digest(raw), scopes=wanted, namespaces=confined, expires_at=expires_at
        )
        trail.record(
            "token.created",
            actor=actor.name,
            object_type="token",
            object_id=str(token.pk),
            after={"owner": owner.username, "prefix": token.prefix, "scopes": wanted, "namespaces": confined},
        )
    return token, raw


def revoke(token: ApiToken, *, actor: Actor, reason: str = "") -> bool:
    """End ``token``; return False when it had ended already. It works no more from the next request on."""
    with trail.deed():
        changed = ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=Now())
        if changed:
            trail.record("token.revoked", actor=actor.name, object_type="token", object_id=str(token.pk), reason=reason)
    return bool(changed)


def authenticate(raw: str) -> tuple[User, Actor] | None:
    """Return the owner of the token ``raw`` and what it may do; None for one that is unknown, ended, expired, or of an inactive owner."""
    if not raw.startswith(PREFIX) or len(raw) > 100:
        return None
    token = ApiToken.objects.select_related("owner").filter(token_hash=digest(raw), revoked_at__isnull=True, owner__is_active=True).first()
    now = timezone.now()
    if token is None or (token.expires_at is not None and token.expires_at <= now):
        return None
    if token.last_used_at is None or (now - token.last_used_at).total_seconds() > _USE_RESOLUTION_SECONDS:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=Now())
    owner = actors.of_user(token.owner)
    namespaces = owner.namespaces
    if token.namespaces is not None:
        namespaces = frozenset(token.namespaces) if namespaces is None else namespaces & frozenset(token.namespaces)
    powers = owner.powers & frozenset(Power(scope) for scope in token.scopes)
    return token.owner, Actor(name=owner.name, user_id=owner.user_id, powers=powers, namespaces=namespaces)
