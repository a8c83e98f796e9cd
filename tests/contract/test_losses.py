"""A user who loses a permission, in whatever way, finds no more afterwards than before."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from governance.access import tokens, users
from governance.access.actors import SYSTEM
from governance.models import ApiToken, NamespaceGrant, WorkspaceGrant
from tests.contract.hidden import (
    HIDDEN,
    INDEPENDENT_ROUTES,
    REQUIRED_QUERY,
    create_hidden_objects,
)
from tests.contract.test_confinement import confined
from tests.support import routes
from tests.support.callers import Api, console, create_user

pytestmark = pytest.mark.usefixtures("committed")

__all__ = ["confined"]  # a fixture

#: The names of the test's objects.
NAMED = re.compile(r"(?:open|hidden)-[a-z]+")
#: Some of the console's pages. All ask the same ``Actor``; test_confinement.py reads them all.
PAGES = ("index", "orbit_runprofile_changelist", "orbit_cyclerun_changelist", "access", "banners")


def found(token: Api, browser: Client) -> dict[str, set[str]]:
    """Return what each list names to this caller."""
    answers = {
        f"/{route}": token.get(f"/{route}{REQUIRED_QUERY.get(route, '')}")
        for route in routes.reading()
        if "<" not in route and route not in INDEPENDENT_ROUTES
    }
    console = routes.console()
    answers |= {name: browser.get(f"/{console[name]}") for name in PAGES}
    return {
        path: set(NAMED.findall(body(answer))) if answer.status_code == 200 else set()
        for path, answer in answers.items()
    }


def body(answer: Any) -> str:
    parts: bytes = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return parts.decode()


def lose_superuser(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_superuser=False)


def confine(user: User) -> None:
    users.change(user.username, actor=SYSTEM, namespaces=["open-ns", HIDDEN])


def confine_to_one(user: User) -> None:
    NamespaceGrant.objects.filter(user=user, namespace__name=HIDDEN).delete()


def become_viewer(user: User) -> None:
    users.change(user.username, actor=SYSTEM, role="Viewer")


def lose_scopes_of_token(user: User) -> None:
    ApiToken.objects.filter(owner=user).update(scopes=["configure"])


def lose_the_last_namespace(user: User) -> None:
    NamespaceGrant.objects.filter(user=user).delete()


def lose_the_workspace(user: User) -> None:
    WorkspaceGrant.objects.filter(user=user).delete()


def lose_the_last_role(user: User) -> None:
    user.groups.clear()


def lose_the_group_itself(user: User) -> None:
    Group.objects.filter(name="Administrator").delete()


def send_an_empty_form(user: User) -> None:
    root = create_user("root", "Administrator")
    User.objects.filter(pk=root.pk).update(is_superuser=True)
    grants = {f"namespace_grants-{key}_FORMS": "0" for key in ("TOTAL", "INITIAL")}
    form = {"username": user.username, "is_active": "on", "is_staff": "on", **grants}
    path = f"/admin/auth/user/{user.pk}/change/"
    assert console(root).post(path, form).status_code == 302
    assert not WorkspaceGrant.objects.filter(user=user).exists()


def be_deactivated(user: User) -> None:
    users.change(user.username, actor=SYSTEM, active=False)


#: By user. The last one's loss is everybody's.
LOSSES: dict[str, tuple[Callable[[User], None], ...]] = {
    "ann": (lose_superuser, confine, confine_to_one, become_viewer, lose_the_last_namespace),
    "bob": (lose_the_workspace,),
    "cid": (send_an_empty_form,),
    "dan": (lose_scopes_of_token, lose_superuser, lose_the_last_role),
    "eve": (be_deactivated,),
    "fay": (lose_superuser, lose_the_group_itself),
}


def test_a_loss_shows_nothing_new_anywhere(confined: tuple[Api, Client]) -> None:
    create_hidden_objects()
    for name, losses in LOSSES.items():
        user = create_user(name, "Administrator")
        User.objects.filter(pk=user.pk).update(is_superuser=True)
        _, raw = tokens.create(user, scopes=["read"], actor=SYSTEM)
        token, browser = Api(raw), console(user)
        before = found(token, browser)
        assert {HIDDEN, "open-ns"} <= before["/governance/namespaces"], name
        for lose in losses:
            lose(user)
            after = found(token, browser)
            more = {path: after[path] - before[path] for path in after}
            assert {path: names for path, names in more.items() if names} == {}, (name, lose)
            before = after
        assert set().union(*before.values()) == set(), name
