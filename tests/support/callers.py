"""People, tokens, and clients that call as them."""

import json
from typing import Any

from django.contrib.auth.models import Group, User
from django.test import Client

from governance.access import actors, tokens
from governance.access.actors import Actor
from governance.models import Namespace, NamespaceGrant
from governance.namespaces import registry
from tests.support import contract


def person(name: str = "ann", role: str = "Operator", *namespaces: str) -> User:
    """Make somebody with a role who may log in; confined to ``namespaces`` where any are named."""
    user = User.objects.create_user(name, password="a-long-password-1", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    registry.ensure(namespaces)
    for namespace in namespaces:
        NamespaceGrant.objects.create(user=user, namespace=Namespace.objects.get(name=namespace))
    return user


def actor(user: User) -> Actor:
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
        """Send ``body``: bytes as they are, anything else as JSON. ``_`` in a header's name stands for ``-``."""
        return self._send("POST", path, body, content_type, headers)

    def put(
        self, path: str, body: Any = b"", content_type: str = "application/json", **headers: str
    ) -> Any:
        """Send ``body`` as ``post`` does."""
        return self._send("PUT", path, body, content_type, headers)

    def send(
        self,
        method: str,
        path: str,
        body: Any = b"",
        content_type: str = "application/json",
        **headers: str,
    ) -> Any:
        """Send ``body`` by any method."""
        return self._send(method, path, body, content_type, headers)

    def _send(
        self, method: str, path: str, body: Any, content_type: str, headers: dict[str, str]
    ) -> Any:
        """Send, and hold the answer against the API's document."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = self.client.generic(
            method,
            path,
            data,
            content_type,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )
        found = contract.faults(method, path, response)
        assert not found, "\n".join(found)
        return response


def api(user: User | None = None, *scopes: str, namespaces: list[str] | None = None) -> Api:
    """Return a client with a fresh token of ``user`` for ``scopes`` (all of them where none is named); without a user, one without a token."""
    if user is None:
        return Api(None)
    wanted = scopes or ("read", "operate", "review", "configure")
    return Api(tokens.create(user, scopes=wanted, actor=actors.SYSTEM, namespaces=namespaces)[1])


def session(user: User) -> Api:
    """Return a client with a session of ``user``, which may all that their role may; a token never administers."""
    found = Api(None)
    found.client.force_login(user)
    return found


def console(user: User) -> Client:
    """Return a browser that is logged in."""
    client = Client()
    client.force_login(user)
    return client


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """Check that ``response`` is that problem, and return it."""
    assert (response.status_code, response.headers["Content-Type"]) == (
        status,
        "application/problem+json",
    ), response.content
    body: dict[str, Any] = json.loads(response.content)
    assert (body["code"], body["status"]) == (code, status), body
    assert body["request_id"] == response.headers["X-Request-ID"]
    assert body["detail"]
    return body
