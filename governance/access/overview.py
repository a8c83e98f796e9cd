"""Who may what, on one page: people, roles, tokens, and who is locked out now."""

from dataclasses import dataclass

from django.db.models import QuerySet
from django.db.models.functions import Now

from governance.access import lockout, tokens, users
from governance.access.actors import Actor
from governance.access.roles import MEANS, ROLES, Scope
from governance.access.users import UserAccess, UserUnknown
from governance.models import ApiToken, LoginAttempt

#: What the page shows of each; the lists behind it have all.
SHOWN = 100


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token, whether it works, and whether anybody uses it."""

    token: ApiToken
    state: str
    unused: bool


@dataclass(frozen=True, slots=True)
class ScopeRow:
    """A power, what it is good for, who has it by which role, and whether the person in question does."""

    scope: Scope
    means: str
    roles: tuple[bool, ...]
    theirs: bool


@dataclass(frozen=True, slots=True)
class Overview:
    """What the page shows; ``person`` is whom somebody asked about."""

    people: list[UserAccess]
    tokens: list[TokenRow]
    locked: "list[LoginAttempt]"
    roles: tuple[str, ...]
    scopes: list[ScopeRow]
    person: UserAccess | None
    asked: str
    tries: int
    more: tuple[str, ...]


def read(actor: Actor, *, name: str = "") -> Overview:
    """Return the page for an administrator of the whole workspace; ``name`` is somebody whose powers are wanted. Raises NotAllowed."""
    actor.require(Scope.ADMINISTER)
    actor.require_workspace()
    person = _asked(name)
    known = users.listed(limit=SHOWN + 1)
    rows = [
        TokenRow(token, str(tokens.state(token)), tokens.unused(token))
        for token in tokens.listed(limit=SHOWN + 1)
    ]
    locked = list(locked_out()[: SHOWN + 1])
    more = tuple(
        what
        for what, found in (("people", known), ("tokens", rows), ("lock-outs", locked))
        if len(found) > SHOWN
    )
    theirs = person.scopes if person else frozenset()
    scopes = [
        ScopeRow(
            scope, MEANS[scope], tuple(scope in given for given in ROLES.values()), scope in theirs
        )
        for scope in Scope
    ]
    return Overview(
        known[:SHOWN],
        rows[:SHOWN],
        locked[:SHOWN],
        tuple(ROLES),
        scopes,
        person,
        name,
        lockout.LIMIT,
        more,
    )


def locked_out() -> "QuerySet[LoginAttempt]":
    """Return the names and addresses that no password is looked at for now."""
    return LoginAttempt.objects.filter(failures__gte=lockout.LIMIT, ends_at__gt=Now()).order_by(
        "-ends_at"
    )


def _asked(name: str) -> UserAccess | None:
    try:
        return users.find(name) if name else None
    except UserUnknown:
        return None
