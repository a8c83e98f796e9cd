"""Create namespaces."""

import re
import uuid
from collections.abc import Iterable

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel import sql
from governance.kernel.errors import Kind, OrbitError
from governance.models.namespace import NAME_PATTERN

ENSURE_NAMESPACES = sql.load(__name__, "ensure_namespaces")
COMPLETE_NAMESPACES = sql.load(__name__, "complete_namespaces")


class NameInvalid(OrbitError):
    """Use 1 to 100 letters, digits, dots, dashes and underscores; begin with a letter or digit."""

    code, kind = "invalid_name", Kind.INVALID


class NamespaceExists(OrbitError):
    """There is a namespace of this name already."""

    code, kind = "namespace_exists", Kind.CONFLICT


def is_name(name: str) -> bool:
    """Return whether ``name`` is valid for a namespace."""
    return re.fullmatch(NAME_PATTERN, name) is not None


def ensure(names: Iterable[str]) -> list[str]:
    """Create the missing namespaces; return their names."""
    unique = sorted(set(names))  # the same order in all calls, against deadlocks
    if not unique:
        return []
    rows = ENSURE_NAMESPACES.rows(names=unique, external_ids=[uuid.uuid4() for _ in unique])
    return [name for (name,) in rows]


def complete() -> int:
    """Give namespaces of outside tools their settings; return how many."""
    return COMPLETE_NAMESPACES.execute()


def create(name: str, *, actor: Actor) -> None:
    """Create a namespace. Raises NotAllowed, NameInvalid, NamespaceExists."""
    actor.require(Scope.ADMINISTER)
    actor.require_workspace()
    if not is_name(name):
        raise NameInvalid(errors=[{"pointer": "/name", "detail": str(NameInvalid.__doc__)}])
    with audit.transaction():
        if not ensure([name]):
            raise NamespaceExists(f"There is a namespace {name!r} already.")
        audit.record(Action.NAMESPACE_CREATED, actor=actor.name, object_id=name, namespace=name)
