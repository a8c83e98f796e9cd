"""Tokens in the console."""

import re
from typing import Any

import pytest

from governance.access import tokens
from governance.models import ApiToken, AuditTrailEntry, Namespace, NamespaceGrant
from governance.namespaces import registry
from tests.support.callers import Api, console, create_user

pytestmark = pytest.mark.django_db
NEW = "/admin/access/tokens/new/"


def form(**changes: Any) -> dict[str, Any]:
    return {
        "owner": "ann",
        "name": "nightly",
        "scopes": ["read"],
        "namespaces": ["eu"],
        "days": "30",
        "reason": "the nightly job",
        **changes,
    }


def test_a_token_is_shown_once_works_and_is_revoked() -> None:
    create_user("ann", "Operator", "eu")
    browser = console(create_user("adm", "Administrator"))
    assert browser.get(NEW).status_code == 200
    answer = browser.post(NEW, form())
    raw = re.search(r'value="(orbit_[\w-]+)"', answer.content.decode())
    assert raw is not None
    assert "no-store" in answer.headers["Cache-Control"]
    token = ApiToken.objects.get()
    assert (token.owner.username, token.name, token.scopes, token.namespaces) == (
        "ann",
        "nightly",
        ["read"],
        ["eu"],
    )
    assert token.expires_at is not None
    entry = AuditTrailEntry.objects.get()
    assert (entry.action, entry.actor, entry.reason, entry.after["owner"]) == (
        "token.created",
        "adm",
        "the nightly job",
        "ann",
    )
    assert raw[1] not in str(list(AuditTrailEntry.objects.values()))
    assert (
        raw[1] not in browser.get(f"/admin/governance/apitoken/{token.pk}/change/").content.decode()
    )
    client = Api(raw[1])
    assert client.get("/cycles").status_code == 200
    assert (
        browser.post(
            f"/admin/governance/apitoken/{token.pk}/revoke/", {"reason": "it leaked"}
        ).status_code
        == 302
    )
    assert client.get("/cycles").status_code == 401
    assert AuditTrailEntry.objects.filter(action="token.revoked", reason="it leaked").count() == 1


@pytest.mark.parametrize(
    "change",
    [
        {"owner": "unknown"},
        {"owner": ""},
        {"owner": "\x00"},
        {"scopes": []},
        {"scopes": ["administer"]},
        {"days": "0"},
        {"days": "9999"},
        {"namespaces": ["nowhere"]},
        {"namespaces": ["nowhere"], "all_namespaces": "on"},
        {"reason": " "},
        {"name": "a\u202eb"},
        {"name": "x" * 101},
    ],
)
def test_an_invalid_token_leaves_nothing(change: dict[str, Any]) -> None:
    create_user("ann", "Operator", "eu")
    answer = console(create_user("adm", "Administrator")).post(NEW, form(**change))
    assert answer.status_code in {200, 400}
    assert re.search(r"orbit_[\w-]{40}", answer.content.decode()) is None
    assert not ApiToken.objects.exists()
    assert not AuditTrailEntry.objects.exists()


@pytest.mark.parametrize(
    ("chosen", "error"),
    [({"namespaces": []}, "Choose namespaces, or"), ({"all_namespaces": "on"}, "not both")],
)
def test_namespaces_are_chosen_in_one_of_two_ways(chosen: dict[str, Any], error: str) -> None:
    create_user("ann", "Operator", "eu")
    answer = console(create_user("adm", "Administrator")).post(NEW, form(**chosen))
    assert error in answer.context["form"].errors["namespaces"][0]
    assert not ApiToken.objects.exists()


def test_all_namespaces_of_the_owner_are_a_choice_of_their_own() -> None:
    ann = create_user("ann", "Operator", "eu")
    answer = console(create_user("adm", "Administrator")).post(
        NEW, form(namespaces=[], all_namespaces="on")
    )
    raw = re.search(r'value="(orbit_[\w-]+)"', answer.content.decode())
    assert raw is not None
    assert ApiToken.objects.get().namespaces is None
    assert AuditTrailEntry.objects.get().after["namespaces"] is None
    registry.ensure(["us"])
    NamespaceGrant.objects.create(user=ann, namespace=Namespace.objects.get(name="us"))
    authenticated = tokens.authenticate(raw[1])
    assert authenticated is not None
    assert authenticated[1].namespaces == {"eu", "us"}


@pytest.mark.parametrize("who", [("con", "Configurator"), ("bea", "Administrator", "eu")])
def test_only_unconfined_administrators_create_tokens(who: tuple[str, ...]) -> None:
    create_user("ann", "Operator", "eu")
    assert console(create_user(*who)).post(NEW, form()).status_code == 403
    with pytest.raises(tokens.actors.NotAllowed):
        tokens.create(
            create_user("x"),
            scopes=["read"],
            actor=tokens.actors.of_user(create_user("y", "Operator")),
        )
