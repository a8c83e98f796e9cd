"""Births of namespaces."""

import re
import uuid
from collections.abc import Iterable

from django.db import connection

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel.errors import Kind, OrbitError
from governance.models.namespace import NAME_PATTERN

ENSURE = """WITH made AS (
    INSERT INTO governance_namespace (name, external_id) SELECT * FROM unnest(%s::text[], %s::uuid[]) ON CONFLICT (name) DO NOTHING RETURNING id, name),
settings AS (INSERT INTO governance_governancesetting (namespace_id) SELECT id FROM made)
SELECT name FROM made ORDER BY name"""


class NameInvalid(OrbitError):
    """A namespace's name is 1 to 100 letters, digits, dots, dashes and underscores, and begins with a letter or digit."""

    code, kind = "invalid_name", Kind.INVALID


class NamespaceExists(OrbitError):
    """There is a namespace of this name already."""

    code, kind = "namespace_exists", Kind.CONFLICT


def is_name(name: str) -> bool:
    """Tell whether a namespace may be called ``name``."""
    return re.fullmatch(NAME_PATTERN, name) is not None


def ensure(names: Iterable[str]) -> list[str]:
    """Make the namespaces of ``names`` that don't exist, each with a UUID v4 and its setting; return those that were made."""
    wanted = sorted(set(names))
    if not wanted:
        return []
    with connection.cursor() as cursor:
        cursor.execute(ENSURE, [wanted, [uuid.uuid4() for _ in wanted]])
        return [row[0] for row in cursor.fetchall()]


def create(name: str, *, actor: Actor) -> None:
    """Make the namespace ``name``. Raises NameInvalid, NamespaceExists; of any number at once one makes it."""
    actor.require(Scope.ADMINISTER)
    actor.require_workspace()
    if not is_name(name):
        raise NameInvalid(errors=[{"pointer": "/name", "detail": str(NameInvalid.__doc__)}])
    with audit.transaction():
        if not ensure([name]):
            raise NamespaceExists(f"There is a namespace {name!r} already.")
        audit.record(
            Action.NAMESPACE_CREATED,
            actor=actor.name,
            object_id=name,
            namespace=name,
        )
