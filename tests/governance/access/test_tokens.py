"""Tokens and actors: never more than their owner, gone when ended."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db.models import F, Func, Value
from django.utils import timezone

from governance.access import actors, tokens
from governance.access.actors import SYSTEM, NamespaceUnknown, NotAllowed
from governance.access.roles import ROLES, Scope, scopes_of
from governance.models import (
    ApiToken,
    AuditTrailEntry,
    GovernanceSetting,
    Namespace,
    NamespaceGrant,
    WorkspaceGrant,
)
from governance.namespaces import registry

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann() -> User:
    user = User.objects.create_user("ann", password="x")
    user.groups.add(Group.objects.get(name="Operator"))
    WorkspaceGrant.objects.create(user=user)
    return user


def confine(user: User, *names: str) -> None:
    registry.ensure(names)
    WorkspaceGrant.objects.filter(user=user).delete()
    for namespace in Namespace.objects.filter(name__in=names):
        NamespaceGrant.objects.create(user=user, namespace=namespace)


def test_the_five_roles_are_groups_and_their_scopes_add_up() -> None:
    assert set(ROLES) <= set(Group.objects.values_list("name", flat=True))
    assert scopes_of(["Viewer", "Reviewer"], superuser=False) == {Scope.READ, Scope.REVIEW}
    assert scopes_of(["Unknown"], superuser=False) == frozenset()
    assert scopes_of([], superuser=True) == frozenset(Scope)


def test_a_token_is_kept_as_a_hash_and_works(ann: User) -> None:
    row, raw = tokens.create(ann, scopes=["read", "operate"], actor=SYSTEM)
    assert raw not in str(ApiToken.objects.values().get())
    authenticated = tokens.authenticate(raw)
    assert authenticated is not None
    owner, actor = authenticated
    assert (owner, actor.name, actor.scopes, actor.namespaces) == (
        ann,
        "ann",
        {Scope.READ, Scope.OPERATE},
        None,
    )
    row.refresh_from_db()
    assert row.last_used_at is not None
    assert AuditTrailEntry.objects.get(action="token.created").after["owner"] == "ann"


def test_the_last_use_of_a_token_is_written_once_a_minute(
    ann: User, django_assert_num_queries: Any
) -> None:
    row, raw = tokens.create(ann, scopes=["read"], actor=SYSTEM)

    def use(seconds_ago: float) -> datetime | None:
        before = timezone.now() - timedelta(seconds=seconds_ago)
        ApiToken.objects.update(last_used_at=before)
        tokens.authenticate(raw)
        row.refresh_from_db()
        return None if row.last_used_at == before else row.last_used_at

    assert use(50) is None
    assert use(70) is not None
    with django_assert_num_queries(1):
        tokens.authenticate(raw)


def test_a_token_may_do_no_more_than_its_owner(ann: User) -> None:
    confine(ann, "a", "b")
    _, raw = tokens.create(
        ann,
        scopes=["read", "operate", "review", "configure"],
        namespaces=["b", "default"],
        actor=SYSTEM,
    )
    authenticated = tokens.authenticate(raw)
    assert authenticated is not None
    assert authenticated[1].scopes == {Scope.READ, Scope.OPERATE}
    assert authenticated[1].namespaces == {"b"}
    ann.groups.clear()
    without_roles = tokens.authenticate(raw)
    assert without_roles is not None
    assert without_roles[1].scopes == frozenset()


@pytest.mark.parametrize(
    "raw", ["", "orbit_", "orbit_" + "x" * 43, "Orbit_abc", "orbit_" + "x" * 5000, "orbit_\x00"]
)
def test_an_invalid_token_authenticates_no_user(raw: str) -> None:
    assert tokens.authenticate(raw) is None


def test_a_revoked_or_expired_token_and_one_of_an_inactive_user_authenticate_no_user(
    ann: User,
) -> None:
    token, raw_revoked = tokens.create(ann, scopes=["read"], actor=SYSTEM)
    assert tokens.revoke(token, actor=SYSTEM)
    assert not tokens.revoke(token, actor=SYSTEM)
    _, raw_expired = tokens.create(
        ann, scopes=["read"], actor=SYSTEM, expires_at=timezone.now() - timedelta(seconds=1)
    )
    _, raw = tokens.create(ann, scopes=["read"], actor=SYSTEM)
    assert tokens.authenticate(raw_revoked) is None
    assert tokens.authenticate(raw_expired) is None
    User.objects.filter(pk=ann.pk).update(is_active=False)
    assert tokens.authenticate(raw) is None
    assert AuditTrailEntry.objects.filter(action="token.revoked").count() == 1


@pytest.mark.parametrize("scopes", [[], ["administer"], ["read", "fly"]])
def test_unknown_or_no_scopes_are_refused(ann: User, scopes: list[str]) -> None:
    with pytest.raises(tokens.ScopeUnknown):
        tokens.create(ann, scopes=scopes, actor=SYSTEM)


def test_an_actor_sees_only_its_namespaces(ann: User) -> None:
    confine(ann, "a")
    actor = actors.of_user(ann)
    assert actor.sees("a")
    assert not actor.sees("b")
    assert not actor.sees(None)
    with pytest.raises(NamespaceUnknown):
        actor.require_namespace("b")
    with pytest.raises(NotAllowed):
        actor.require(Scope.CONFIGURE)
    assert Namespace.objects.filter(actor.filter("name")).count() == 1


def test_whoever_loses_the_last_grant_sees_nothing(ann: User) -> None:
    confine(ann, "a")
    _, raw = tokens.create(ann, scopes=["read"], actor=SYSTEM)
    NamespaceGrant.objects.all().delete()
    authenticated = tokens.authenticate(raw)
    assert authenticated is not None
    for actor in (actors.of_user(ann), authenticated[1]):
        assert actor.namespaces == frozenset()
        assert not Namespace.objects.filter(actor.filter("name")).exists()
        assert not actor.sees("a")
        with pytest.raises(NotAllowed):
            actor.require_workspace()


def test_whoever_loses_the_grant_of_the_workspace_keeps_only_the_namespaces(ann: User) -> None:
    confine(ann, "a")
    WorkspaceGrant.objects.create(user=ann)
    assert actors.of_user(ann).namespaces is None
    NamespaceGrant.objects.create(user=ann, namespace=Namespace.objects.get(name="default"))
    NamespaceGrant.objects.filter(namespace__name="default").delete()
    assert actors.of_user(ann).namespaces is None
    WorkspaceGrant.objects.all().delete()
    assert actors.of_user(ann).namespaces == {"a"}


def test_a_user_whom_nobody_granted_anything_sees_nothing() -> None:
    user = User.objects.create_superuser("root", password="x")
    assert actors.of_user(user).namespaces == frozenset()


def test_a_token_confined_to_no_namespace_sees_nothing(ann: User) -> None:
    row, raw = tokens.create(ann, scopes=["read"], namespaces=[], actor=SYSTEM)
    assert row.namespaces == []
    authenticated = tokens.authenticate(raw)
    assert authenticated is not None
    assert authenticated[1].namespaces == frozenset()


def test_a_token_whose_last_namespace_is_gone_sees_nothing(ann: User) -> None:
    registry.ensure(["only"])
    row, raw = tokens.create(ann, scopes=["read"], namespaces=["only"], actor=SYSTEM)
    GovernanceSetting.objects.filter(namespace__name="only").delete()
    Namespace.objects.get(name="only").delete()
    registry.ensure(["other"])
    authenticated = tokens.authenticate(raw)
    assert authenticated is not None
    assert not authenticated[1].sees("other")
    ApiToken.objects.filter(pk=row.pk).update(
        namespaces=Func(F("namespaces"), Value("only"), function="array_remove")
    )
    row.refresh_from_db()
    assert row.namespaces == []  # the owner's is NULL, which only an explicit choice writes
    authenticated = tokens.authenticate(raw)
    assert authenticated is not None
    assert authenticated[1].namespaces == frozenset()


def test_an_anonymous_user_has_no_scope_and_no_namespace() -> None:
    actor = actors.of_user(AnonymousUser())
    assert (actor.scopes, actor.namespaces) == (frozenset(), frozenset())


def test_namespaces_are_created_once_each_with_a_random_uuid_and_a_setting(
    django_assert_num_queries,
) -> None:
    with django_assert_num_queries(1):
        assert registry.ensure(["b", "a", "a", "default"]) == ["a", "b"]
    assert registry.ensure(["a"]) == []
    assert {namespace.external_id.version for namespace in Namespace.objects.all()} == {4}
    assert all(
        namespace.setting.mode == "running"
        for namespace in Namespace.objects.select_related("setting")
    )
