"""Whether a user or token may still do what they started, while it goes on without them."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Self

from django.contrib.auth.models import User

from governance.access.actors import GRANTS_OF, Actor, NotAllowed
from governance.access.roles import Scope, scopes_of
from governance.kernel import sql

READ = sql.load(__name__, "read_initiator", grants_of=GRANTS_OF)


class Lost(NotAllowed):
    """You have lost a permission that this needs. What was done until then stays done."""


@dataclass(frozen=True, slots=True)
class Initiator:
    """Who started work: a user, and the token if it was by one."""

    user_id: int | None  # None: a command or Orbit itself, which always may
    token_id: int | None

    @classmethod
    def of(cls, actor: Actor) -> Self:
        """Return the initiator that ``actor`` is."""
        return cls(actor.user_id, actor.token_id)

    @classmethod
    def read(cls, stored: Any, name: str) -> Self:
        """Return what ``to_json`` made, or who is called ``name`` if nothing is stored."""
        if isinstance(stored, dict):
            return cls(stored.get("user_id"), stored.get("token_id"))
        # A command, or a user's run of an older release. No user is called as a command.
        user = User.objects.filter(username=name).values_list("pk", flat=True).first()
        return cls(user, None)

    def to_json(self) -> dict[str, int]:
        """Return it for the context of an operation run."""
        members = {"user_id": self.user_id, "token_id": self.token_id}
        return {name: number for name, number in members.items() if number is not None}


def lost(initiator: Initiator, scope: Scope, namespaces: Collection[str] | None) -> str:
    """Return what the initiator has lost of these, in words, or an empty text. One query.

    ``namespaces`` None means the whole workspace.
    """
    if initiator.user_id is None:
        return ""
    row = READ.one(user_id=initiator.user_id, token_id=initiator.token_id)
    if row is None:
        return "the user who started it was removed"
    name, active, superuser, roles, granted, has_token, token_scopes, token_namespaces = row
    if not active:
        return f"{name} was disabled"
    if initiator.token_id is not None and not has_token:
        return f"the token of {name} was revoked or has expired"
    if scope not in scopes_of(roles, superuser=superuser) or (
        has_token and scope not in token_scopes
    ):
        return f"{name} has lost the permission {scope}"
    for limit in (granted, token_namespaces):
        if limit is None:
            continue
        if namespaces is None:
            return f"{name} no longer sees the whole workspace"
        if gone := sorted(set(namespaces) - set(limit)):
            return f"{name} no longer sees {', '.join(gone[:5])}"
    return ""


def ensure(actor: Actor, scope: Scope) -> None:
    """Raise Lost if ``actor`` has lost anything since they were authenticated."""
    if reason := lost(Initiator.of(actor), scope, actor.namespaces):
        raise Lost(f"Stopped: {reason}.")
