"""A stored answer of an Idempotency-Key goes only to who may still see it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db.models.functions import Now

from governance.access import actors, tokens
from governance.models import ApiToken, NamespaceGrant
from orbit.models import CycleRun
from tests.support.callers import Api, api, create_user, problem, session
from tests.support.configuration import profile, run_profile, store_profiles

pytestmark = pytest.mark.django_db

ROUTES = [
    ("/cycles/trigger", {"namespace": "eu"}),
    ("/cycles/trigger", {"run_profile_id": "daily-eu", "payload": 1}),
    ("/run-profiles/trigger", {"run_profile_ids": ["daily-eu"]}),
    ("/run-profiles/trigger", {"reason": "all of them"}),
    ("/run-profiles/daily-eu/trigger", {"reason": "by hand"}),
]
HIDDEN = {"unknown_namespace", "unknown_run_profile"}


def send(client: Api, route: tuple[str, Any]) -> Any:
    return client.post(*route, Idempotency_Key="k")


@pytest.fixture
def owner() -> User:
    store_profiles([profile()], [run_profile(), run_profile("daily-us", namespace="us")])
    return create_user("ann", "Operator", "eu", "us")


@pytest.fixture(params=ROUTES, ids=lambda route: f"{route[0]} {','.join(route[1])}")
def route(request: Any) -> tuple[str, Any]:
    return request.param  # type: ignore[no-any-return]


def test_who_may_still_see_it_gets_it_again(owner: User, route: tuple[str, Any]) -> None:
    first = send(api(owner), route)
    assert first.status_code == 202
    for client in (api(owner), session(owner), api(owner, namespaces=["eu", "us"])):
        again = send(client, route)
        assert (again.status_code, again.json()) == (202, first.json())


def test_a_namespace_that_was_taken_away_hides_it(owner: User, route: tuple[str, Any]) -> None:
    client = api(owner)
    assert send(client, route).status_code == 202
    cycles = CycleRun.objects.count()
    NamespaceGrant.objects.filter(user=owner, namespace__name="eu").delete()
    refusal = send(client, route)
    assert (refusal.status_code, refusal.json()["code"] in HIDDEN) == (404, True)
    NamespaceGrant.objects.filter(user=owner).delete()
    assert send(client, route).status_code == 404
    assert CycleRun.objects.count() == cycles


def test_a_confined_token_of_the_same_owner_doesn_t_get_it(
    owner: User, route: tuple[str, Any]
) -> None:
    assert send(api(owner), route).status_code == 202
    refusal = send(api(owner, namespaces=["us"]), route)
    assert (refusal.status_code, refusal.json()["code"] in HIDDEN) == (404, True)


def _lose_role(owner: User) -> None:
    owner.groups.set([Group.objects.get(name="Viewer")])


def _disable(owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_active=False)


def _revoke(owner: User) -> None:
    tokens.revoke(ApiToken.objects.get(owner=owner), actor=actors.SYSTEM)


def _expire(owner: User) -> None:
    ApiToken.objects.filter(owner=owner).update(expires_at=Now())


@pytest.mark.parametrize(
    ("lose", "status"), [(_lose_role, 403), (_disable, 401), (_revoke, 401), (_expire, 401)]
)
def test_who_lost_the_right_to_ask_doesn_t_get_it(
    owner: User, route: tuple[str, Any], lose: Callable[[User], None], status: int
) -> None:
    client = api(owner)
    assert send(client, route).status_code == 202
    lose(owner)
    refusal = send(client, route)
    assert (refusal.status_code, "cycle_run_id" in refusal.content.decode()) == (status, False)


def test_a_token_without_the_scope_doesn_t_get_it(owner: User, route: tuple[str, Any]) -> None:
    assert send(api(owner), route).status_code == 202
    problem(send(api(owner, "read"), route), 403, "forbidden")


def test_a_run_profile_that_moved_away_hides_its_answer_too(owner: User) -> None:
    client = api(owner)
    assert send(client, ROUTES[2]).status_code == 202
    NamespaceGrant.objects.filter(user=owner, namespace__name="eu").delete()
    store_profiles([profile()], [run_profile(namespace="us")])
    problem(send(client, ROUTES[2]), 404, "unknown_run_profile")
