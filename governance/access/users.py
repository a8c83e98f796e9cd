"""People who may log in: made, changed, switched off, never deleted, each time on the audit trail."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.db.models import QuerySet

from governance import audit
from governance.access.actors import Actor, NamespaceUnknown
from governance.access.roles import ROLES, Scope, scopes_of
from governance.audit.actions import Action
from governance.kernel.errors import Kind, OrbitError
from governance.models import Namespace, NamespaceGrant


class UserExists(OrbitError):
    """There is a user of this name already."""

    code, kind = "user_exists", Kind.CONFLICT


class UserInvalid(OrbitError):
    """This name or password can't be taken."""

    code, kind = "invalid_user", Kind.INVALID


class UserUnknown(OrbitError):
    """There is no such user."""

    code, kind = "unknown_user", Kind.MISSING


@dataclass(frozen=True, slots=True)
class UserAccess:
    """Somebody, and what they may. ``namespaces`` None means all of them."""

    id: int
    username: str
    active: bool
    superuser: bool
    roles: tuple[str, ...]
    namespaces: tuple[str, ...] | None
    last_login: datetime | None

    @property
    def scopes(self) -> frozenset[Scope]:
        """What they may do; nothing while they are switched off."""
        return scopes_of(list(self.roles), superuser=self.superuser) if self.active else frozenset()

    def document(self) -> dict[str, Any]:
        """Return them as the command and the audit trail show them."""
        return {
            "username": self.username,
            "active": self.active,
            "superuser": self.superuser,
            "roles": list(self.roles),
            "namespaces": None if self.namespaces is None else list(self.namespaces),
        }


def listed(*, limit: int, name: str | None = None) -> list[UserAccess]:
    """Return people by name, ``limit`` at most; three queries."""
    rows = User.objects.order_by("username") if name is None else User.objects.filter(username=name)
    return [_person(user) for user in _whole(rows)[:limit]]


def find(name: str) -> UserAccess:
    """Return somebody. Raises UserUnknown."""
    found = listed(limit=1, name=name)
    if not found:
        raise UserUnknown(f"There is no user {name!r}. Make one with `manage.py user create`.")
    return found[0]


def create(
    name: str,
    *,
    role: str,
    password: str,
    namespaces: Collection[str],
    actor: Actor,
    superuser: bool = False,
) -> User:
    """Make somebody with one role. Raises UserInvalid, UserExists, NamespaceUnknown; then nothing is kept."""
    _refuse(actor)
    user = User(username=name, is_staff=True, is_superuser=superuser)
    try:
        user.clean_fields(exclude=["password"])
        validate_password(password, user)
    except ValidationError as error:
        raise UserInvalid(" ".join(error.messages)) from None
    user.set_password(password)
    granted = _found(namespaces)
    try:
        with audit.transaction():
            user.save()
            user.groups.add(Group.objects.get(name=role))
            NamespaceGrant.objects.bulk_create(
                NamespaceGrant(user=user, namespace=namespace) for namespace in granted
            )
            after = {
                "username": name,
                "role": role,
                "superuser": superuser,
                "namespaces": [namespace.name for namespace in granted] or None,
            }
            _record(user.pk, actor, before=None, after=after, reason="")
    except IntegrityError:
        raise UserExists(f"There is a user {name!r} already.") from None
    return user


def change(
    name: str,
    *,
    actor: Actor,
    reason: str = "",
    role: str | None = None,
    namespaces: Collection[str] | None = None,
    active: bool | None = None,
) -> UserAccess:
    """Give somebody one other role, confine them to other namespaces (none: they see all), switch them on or off; None leaves it as it is.

    It holds from their next request on. Raises UserUnknown and NamespaceUnknown. Nothing goes on record where nothing changes.
    """
    _refuse(actor)
    with audit.transaction():
        user = User.objects.select_for_update().filter(username=name).first()
        if user is None:
            raise UserUnknown(f"There is no user {name!r}. Make one with `manage.py user create`.")
        before = find(name)
        if role is not None:
            user.groups.set(Group.objects.filter(name=role))
        if namespaces is not None:
            granted = _found(namespaces)
            NamespaceGrant.objects.filter(user=user).exclude(namespace__in=granted).delete()
            NamespaceGrant.objects.bulk_create(
                [NamespaceGrant(user=user, namespace=namespace) for namespace in granted],
                ignore_conflicts=True,
            )
        if active is not None:
            User.objects.filter(pk=user.pk).update(is_active=active)
        after = find(name)
        if after.document() != before.document():
            _record(user.pk, actor, before=before.document(), after=after.document(), reason=reason)
    return after


def _refuse(actor: Actor) -> None:
    """Raise NotAllowed for whoever isn't an administrator of the whole workspace: one who is confined could make somebody who isn't."""
    actor.require(Scope.ADMINISTER)
    actor.require_workspace()


def _record(user_id: int, actor: Actor, *, before: Any, after: Any, reason: str) -> None:
    audit.record(
        Action.USER_CHANGED,
        actor=actor.name,
        object_id=str(user_id),
        before=before,
        after=after,
        reason=reason,
    )


def _found(names: Collection[str]) -> Sequence[Namespace]:
    found = {
        namespace.name: namespace
        for namespace in Namespace.objects.filter(name__in=names).order_by("name")
    }
    for name in names:
        if name not in found:
            raise NamespaceUnknown(f"There is no namespace {name!r}.")
    return list(found.values())


def _whole(rows: "QuerySet[User]") -> "QuerySet[User]":
    return rows.prefetch_related("groups", "namespace_grants__namespace")


def _person(user: Any) -> UserAccess:
    granted = sorted(grant.namespace.name for grant in user.namespace_grants.all())
    roles = sorted(group.name for group in user.groups.all() if group.name in ROLES)
    return UserAccess(
        user.pk,
        user.username,
        user.is_active,
        user.is_superuser,
        tuple(roles),
        tuple(granted) or None,
        user.last_login,
    )
