"""Who acts: a person, a token, or Orbit itself."""

import os
import pwd
from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Q

from governance.access.roles import Scope, scopes_of
from governance.kernel.errors import Kind, OrbitError


class NotAllowed(OrbitError):
    """This needs a permission that you don't have."""

    code, kind = "forbidden", Kind.DENIED


class NamespaceUnknown(OrbitError):
    """There is no such namespace."""

    code, kind = "unknown_namespace", Kind.MISSING


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who acts. ``namespaces`` None means all of them."""

    name: str
    user_id: int | None
    scopes: frozenset[Scope]
    namespaces: frozenset[str] | None

    def may(self, scope: Scope) -> bool:
        """Tell whether ``power`` was given."""
        return scope in self.scopes

    def sees(self, namespace: str | None) -> bool:
        """Tell whether objects of ``namespace`` exist for this actor; None is the whole workspace."""
        return self.namespaces is None or namespace in self.namespaces

    def require(self, scope: Scope) -> None:
        """Raise NotAllowed unless ``power`` was given."""
        if scope not in self.scopes:
            raise NotAllowed(f"This needs the permission {scope}.")

    def require_workspace(self) -> None:
        """Raise NotAllowed for one who is confined to namespaces."""
        if self.namespaces is not None:
            raise NotAllowed(
                "This concerns the whole workspace, and you are confined to some of its namespaces."
            )

    def require_namespace(self, namespace: str) -> None:
        """Raise NamespaceUnknown where ``namespace`` is hidden from this actor: a hidden one looks like a missing one."""
        if not self.sees(namespace):
            raise NamespaceUnknown(f"There is no namespace {namespace!r}.")

    def filter(self, field: str = "namespace") -> Q:
        """Return the condition that keeps a queryset to what this actor sees."""
        return Q() if self.namespaces is None else Q(**{f"{field}__in": self.namespaces})


SYSTEM = Actor(name="orbit", user_id=None, scopes=frozenset(Scope), namespaces=None)


def operator() -> Actor:
    """Return the actor of a command: whoever may run one on this machine may do everything."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without a name
        name = str(os.getuid())
    return Actor(name=f"command:{name}", user_id=None, scopes=frozenset(Scope), namespaces=None)


def of_user(user: AbstractBaseUser | AnonymousUser) -> Actor:
    """Return the actor that a logged-in person is; one query. Nobody without a login may do anything."""
    if user.pk is None:
        return Actor(name="", user_id=None, scopes=frozenset(), namespaces=frozenset())
    row = (
        User.objects.filter(pk=user.pk, is_active=True)
        .annotate(
            role_names=ArrayAgg(
                "groups__name", filter=Q(groups__isnull=False), distinct=True, default=[]
            ),
            granted=ArrayAgg(
                "namespace_grants__namespace__name",
                filter=Q(namespace_grants__isnull=False),
                distinct=True,
                default=[],
            ),
        )
        .values_list("username", "is_superuser", "role_names", "granted")
        .first()
    )
    if row is None:
        return Actor(name="", user_id=None, scopes=frozenset(), namespaces=frozenset())
    name, superuser, groups, granted = row
    return Actor(
        name=name,
        user_id=user.pk,
        scopes=scopes_of(groups, superuser=superuser),
        namespaces=frozenset(granted) or None,
    )
