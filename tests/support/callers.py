"""Users, tokens, and clients that call as them."""

import json
from typing import Any

from django.contrib.auth.models import Group, User
from django.test import Client

from governance.access import actors, tokens
from governance.access.actors import Actor
from governance.models import Namespace, NamespaceGrant, WorkspaceGrant
from governance.namespaces import registry
from tests.support import contract


def create_user(name: str = "ann", role: str = "Operator", *namespaces: str) -> User:
    """Create a user with a role, who sees ``namespaces``, or without any the whole workspace."""
    user = User.objects.create_user(name, password="a-long-password-1", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    registry.ensure(namespaces)
    for namespace in namespaces:
        NamespaceGrant.objects.create(user=user, namespace=Namespace.objects.get(name=namespace))
    if not namespaces:
        WorkspaceGrant.objects.create(user=user)
    return user


def actor_of(user: User) -> Actor:
    return actors.of_user(user)


class Api:
    """A client with a bearer token."""

    def __init__(self, token: str | None) -> None:
        self.client = Client(
            raise_request_exception=False,
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )

    def get(self, path: str, **headers: str) -> Any:
        return self._send("GET", path, b"", "application/json", headers)

    def post(
        self, path: str, body: Any = b"", content_type: str = "application/json", **headers: str
    ) -> Any:
        """Send bytes, or a value as JSON. Write ``-`` of a header as ``_``."""
        return self._send("POST", path, body, content_type, headers)

    def put(
        self, path: str, body: Any = b"", content_type: str = "application/json", **headers: str
    ) -> Any:
        return self._send("PUT", path, body, content_type, headers)

    def send(
        self,
        method: str,
        path: str,
        body: Any = b"",
        content_type: str = "application/json",
        **headers: str,
    ) -> Any:
        return self._send(method, path, body, content_type, headers)

    def _send(
        self, method: str, path: str, body: Any, content_type: str, headers: dict[str, str]
    ) -> Any:
        """Send, and compare the answer with the API's document."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = self.client.generic(
            method,
            path,
            data,
            content_type,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )
        faults = contract.faults(method, path, response)
        assert not faults, "\n".join(faults)
        return response


def token(user: User) -> str:
    """Return a new token of all scopes."""
    scopes = ("read", "operate", "review", "configure")
    return tokens.create(user, scopes=scopes, actor=actors.SYSTEM)[1]


def api(user: User | None = None, *scopes: str, namespaces: list[str] | None = None) -> Api:
    """Return a client with a new token, of all scopes by default; without ``user``, with none."""
    if user is None:
        return Api(None)
    scopes = scopes or ("read", "operate", "review", "configure")
    return Api(tokens.create(user, scopes=scopes, actor=actors.SYSTEM, namespaces=namespaces)[1])


def session(user: User) -> Api:
    """Return a client with a session, which may administer."""
    client = Api(None)
    client.client.force_login(user)
    return client


def console(user: User) -> Client:
    """Return a client that is logged in to the console."""
    client = Client()
    client.force_login(user)
    return client


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """Check that ``response`` is that problem; return its body."""
    assert (response.status_code, response.headers["Content-Type"]) == (
        status,
        "application/problem+json",
    ), response.content
    body: dict[str, Any] = json.loads(response.content)
    assert (body["code"], body["status"]) == (code, status), body
    assert body["request_id"] == response.headers["X-Request-ID"]
    assert body["detail"]
    return body
