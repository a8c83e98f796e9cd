"""Users of the console. They are deactivated, never deleted, because the audit trail names them."""

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
from governance.kernel.constraints import violated
from governance.kernel.errors import Kind, OrbitError
from governance.models import Namespace, NamespaceGrant, WorkspaceGrant

_UNIQUE_NAME = "auth_user_username_key"  # Django's own constraint
_MOST_GRANTS = 1_000


class UserExists(OrbitError):
    """There is a user of this name already."""

    code, kind = "user_exists", Kind.CONFLICT


class UserInvalid(OrbitError):
    """This name or password is not allowed."""

    code, kind = "invalid_user", Kind.INVALID


class UserUnknown(OrbitError):
    """There is no such user."""

    code, kind = "unknown_user", Kind.MISSING


@dataclass(frozen=True, slots=True)
class UserAccess:
    """A user and their permissions. ``namespaces`` None: the whole workspace."""

    id: int
    username: str
    active: bool
    superuser: bool
    roles: tuple[str, ...]
    namespaces: tuple[str, ...] | None
    last_login: datetime | None

    @property
    def scopes(self) -> frozenset[Scope]:
        """The user's scopes; none while inactive."""
        return scopes_of(list(self.roles), superuser=self.superuser) if self.active else frozenset()

    def to_dict(self) -> dict[str, Any]:
        """Return what commands and the audit trail show."""
        return {
            "username": self.username,
            "active": self.active,
            "superuser": self.superuser,
            "roles": list(self.roles),
            "namespaces": None if self.namespaces is None else list(self.namespaces),
        }


def by_name(*, limit: int) -> list[UserAccess]:
    """Return the first users by name; three queries."""
    return _read(User.objects.order_by("username")[:limit])


def with_access(namespaces: Collection[str]) -> dict[str, list[str]]:
    """Return the active users who are confined to each of ``namespaces``, by name."""
    grants = NamespaceGrant.objects.filter(namespace__name__in=namespaces, user__is_active=True)
    pairs = grants.order_by("user__username").values_list("namespace__name", "user__username")
    names: dict[str, list[str]] = {}
    for namespace, user in pairs[:_MOST_GRANTS]:
        names.setdefault(namespace, []).append(user)
    return names


def find(name: str) -> UserAccess:
    """Return the user called ``name``. Raises UserUnknown."""
    users = _read(User.objects.filter(username=name))
    if not users:
        raise _unknown(name)
    return users[0]


def create(
    name: str,
    *,
    role: str,
    password: str,
    namespaces: Collection[str] | None,
    actor: Actor,
    superuser: bool = False,
) -> User:
    """Create a user with one role, who sees ``namespaces``; None: the whole workspace.

    Raises NotAllowed, UserInvalid, UserExists, NamespaceUnknown.
    """
    _require_administrator(actor)
    user = User(username=name, is_staff=True, is_superuser=superuser)
    try:
        user.clean_fields(exclude=["password"])
        validate_password(password, user)
    except ValidationError as error:
        raise UserInvalid(" ".join(error.messages)) from None
    user.set_password(password)
    grants = None if namespaces is None else _namespaces(namespaces)
    try:
        with audit.transaction():
            user.save()
            user.groups.add(Group.objects.get(name=role))
            _grant(user, grants)
            after = {
                "username": name,
                "role": role,
                "superuser": superuser,
                "namespaces": None if grants is None else [item.name for item in grants],
            }
            _record(user.pk, actor, before=None, after=after, reason="")
    # The unique index decides between parallel calls.
    except IntegrityError as error:
        if violated(error) != _UNIQUE_NAME:
            raise
        raise UserExists(f"There is a user {name!r} already.") from None
    return user


def change(
    name: str,
    *,
    actor: Actor,
    reason: str = "",
    role: str | None = None,
    namespaces: Collection[str] | None = None,
    whole_workspace: bool = False,
    active: bool | None = None,
) -> UserAccess:
    """Change what isn't None. ``whole_workspace`` lifts the confinement to namespaces.

    Raises NotAllowed, UserUnknown, NamespaceUnknown.
    """
    _require_administrator(actor)
    with audit.transaction():
        user = User.objects.select_for_update().filter(username=name).first()
        if user is None:
            raise _unknown(name)
        before = find(name)
        if role is not None:
            user.groups.set(Group.objects.filter(name=role))
        if whole_workspace:
            _grant(user, None)
        elif namespaces is not None:
            _grant(user, _namespaces(namespaces))
        if active is not None:
            User.objects.filter(pk=user.pk).update(is_active=active)
        after = find(name)
        if after.to_dict() != before.to_dict():
            _record(user.pk, actor, before=before.to_dict(), after=after.to_dict(), reason=reason)
    return after


def _unknown(name: str) -> UserUnknown:
    return UserUnknown(f"There is no user {name!r}. Create one with `manage.py user create`.")


def _require_administrator(actor: Actor) -> None:
    # A confined administrator could create a user who isn't confined.
    actor.require(Scope.ADMINISTER)
    actor.require_workspace()


def set_workspace(user: User, is_whole: bool) -> None:
    """Let ``user`` see the whole workspace, or only the namespaces that are granted."""
    if is_whole:
        WorkspaceGrant.objects.get_or_create(user=user)
    else:
        WorkspaceGrant.objects.filter(user=user).delete()


def _grant(user: User, namespaces: Sequence[Namespace] | None) -> None:
    """Let ``user`` see exactly these; None: the whole workspace."""
    NamespaceGrant.objects.filter(user=user).exclude(namespace__in=namespaces or ()).delete()
    set_workspace(user, namespaces is None)
    if namespaces is None:
        return
    NamespaceGrant.objects.bulk_create(
        [NamespaceGrant(user=user, namespace=namespace) for namespace in namespaces],
        ignore_conflicts=True,  # granted already
    )


def _record(user_id: int, actor: Actor, *, before: Any, after: Any, reason: str) -> None:
    audit.record(
        Action.USER_CHANGED,
        actor=actor.name,
        object_id=str(user_id),
        before=before,
        after=after,
        reason=reason,
    )


def _namespaces(names: Collection[str]) -> Sequence[Namespace]:
    """Return the namespaces, sorted. Raises NamespaceUnknown."""
    namespaces = list(Namespace.objects.filter(name__in=names).order_by("name"))
    missing = set(names) - {namespace.name for namespace in namespaces}
    for name in names:
        if name in missing:
            raise NamespaceUnknown(f"There is no namespace {name!r}.")
    return namespaces


def _read(rows: "QuerySet[User]") -> list[UserAccess]:
    return [
        _access(user)
        for user in rows.select_related("workspace_grant").prefetch_related(
            "groups", "namespace_grants__namespace"
        )
    ]


def _access(user: Any) -> UserAccess:
    namespaces = sorted(grant.namespace.name for grant in user.namespace_grants.all())
    roles = sorted(group.name for group in user.groups.all() if group.name in ROLES)
    return UserAccess(
        id=user.pk,
        username=user.username,
        active=user.is_active,
        superuser=user.is_superuser,
        roles=tuple(roles),
        namespaces=None if hasattr(user, "workspace_grant") else tuple(namespaces),
        last_login=user.last_login,
    )
