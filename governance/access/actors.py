"""Actors: a user, a token, a command, or Orbit itself."""

import os
import pwd
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db.models import Q, QuerySet

from governance.access.roles import Scope, scopes_of
from governance.kernel import sql
from governance.kernel.errors import Kind, OrbitError

GRANTS_OF = sql.fragment(__name__, "grants_of")
_READ = sql.load(__name__, "read_user", grants_of=GRANTS_OF)


class NotAllowed(OrbitError):
    """This needs a permission that you don't have."""

    code, kind = "forbidden", Kind.DENIED


class NamespaceUnknown(OrbitError):
    """There is no such namespace."""

    code, kind = "unknown_namespace", Kind.MISSING


#: Namespaces of a user that are read one by one.
_MOST_READ_APART = 50


@dataclass(frozen=True, slots=True)
class Actor:
    """A caller and its permissions. ``namespaces`` None means all."""

    name: str
    user_id: int | None
    scopes: frozenset[Scope]
    namespaces: frozenset[str] | None
    token_id: int | None = None  # if it is by a token

    def may(self, *scopes: Scope) -> bool:
        """Return whether the actor has one of ``scopes``."""
        return not self.scopes.isdisjoint(scopes)

    def sees(self, namespace: str | None) -> bool:
        """Return whether the actor sees objects of ``namespace`` (None: the workspace's)."""
        return self.namespaces is None or namespace in self.namespaces

    def require(self, *scopes: Scope) -> None:
        """Raise NotAllowed unless the actor has one of ``scopes``."""
        if not self.may(*scopes):
            raise NotAllowed(f"This needs the permission {' or '.join(scopes)}.")

    def require_workspace(self) -> None:
        """Raise NotAllowed if the actor is confined to namespaces."""
        if self.namespaces is not None:
            raise NotAllowed(
                "This concerns the whole workspace, but you are confined to some of its namespaces."
            )

    def require_namespace(self, namespace: str) -> None:
        """Raise NamespaceUnknown unless the actor sees ``namespace``."""
        # The same refusal as for a missing namespace: names of others stay secret.
        if not self.sees(namespace):
            raise NamespaceUnknown(f"There is no namespace {namespace!r}.")

    def filter(self, field: str = "namespace") -> Q:
        """Return the condition for rows that the actor sees."""
        return Q() if self.namespaces is None else Q(**{f"{field}__in": self.namespaces})

    def first(self, rows: "QuerySet[Any]", most: int) -> "QuerySet[Any]":
        """Return the first ``most`` of ordered ``rows`` that the actor sees.

        Of each of its namespaces by an index: one that is quiet has none among the newest of all.
        """
        names = sorted(self.namespaces or ())
        if not 1 < len(names) <= _MOST_READ_APART:
            return rows[:most]
        one, *others = (rows.filter(namespace=name).values("pk")[:most] for name in names)
        return rows.filter(pk__in=one.union(*others, all=True))[:most]


SYSTEM = Actor(name="orbit", user_id=None, scopes=frozenset(Scope), namespaces=None)


def operator() -> Actor:
    """Return the actor of a command, which has every permission."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without a name
        name = str(os.getuid())
    # Access to this machine's shell grants everything.
    return Actor(name=f"command:{name}", user_id=None, scopes=frozenset(Scope), namespaces=None)


def of_user(user: AbstractBaseUser | AnonymousUser) -> Actor:
    """Return the actor of ``user``. Anonymous and inactive users may do nothing."""
    if user.pk is None:
        return Actor(name="", user_id=None, scopes=frozenset(), namespaces=frozenset())
    # Prepared, because each request makes it.
    rows = _READ.send(user_id=user.pk)
    if not rows:
        return Actor(name="", user_id=None, scopes=frozenset(), namespaces=frozenset())
    [(name, superuser, role_names, namespaces)] = rows
    return _granted(user.pk, name, superuser, role_names, namespaces)


def granted(user: User, role_names: list[str], namespaces: list[str] | None) -> Actor:
    """Return the actor of an active user who was read with ``grants_of.sql``."""
    return _granted(user.pk, user.username, user.is_superuser, role_names, namespaces)


def _granted(
    user_id: int, name: str, superuser: bool, role_names: list[str], namespaces: list[str] | None
) -> Actor:
    return Actor(
        name=name,
        user_id=user_id,
        scopes=scopes_of(role_names, superuser=superuser),
        # A grant only adds: a user who loses one, in whatever way, never sees more than before.
        namespaces=None if namespaces is None else frozenset(namespaces),
    )
