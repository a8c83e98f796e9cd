"""Creation of namespaces."""

import pytest
from django.db import connection

from governance.access.actors import SYSTEM, Actor, NotAllowed
from governance.access.roles import ROLES, Scope
from governance.models import AuditTrailEntry, Namespace
from governance.namespaces import registry
from governance.namespaces.registry import NameInvalid, NamespaceExists

pytestmark = pytest.mark.django_db


def test_a_namespace_is_created_with_a_random_id_a_setting_and_an_entry() -> None:
    registry.create("eu", actor=SYSTEM)
    namespace = Namespace.objects.select_related("setting").get(name="eu")
    assert (namespace.external_id.version, namespace.setting.mode) == (4, "running")
    entry = AuditTrailEntry.objects.get()
    assert (entry.action, entry.actor, entry.object_id, entry.namespace) == (
        "namespace.created",
        "orbit",
        "eu",
        "eu",
    )


def test_a_second_namespace_of_the_same_name_is_refused() -> None:
    registry.create("eu", actor=SYSTEM)
    with pytest.raises(NamespaceExists):
        registry.create("eu", actor=SYSTEM)
    assert AuditTrailEntry.objects.count() == 1


@pytest.mark.parametrize(
    "name", ["", ".eu", "a b", "a/b", "x" * 101, "eu\n", "e\u202eu", "e\x00u", "\ud800", "\u00e9u"]
)
def test_a_name_that_could_be_mistaken_for_another_is_refused_with_its_pointer(name: str) -> None:
    with pytest.raises(NameInvalid) as exc_info:
        registry.create(name, actor=SYSTEM)
    assert exc_info.value.errors[0]["pointer"] == "/name"


def test_only_unconfined_administrators_create_namespaces() -> None:
    for actor in (
        Actor("ann", None, ROLES["Operator"], None),
        Actor("bea", None, frozenset(Scope), frozenset({"default"})),
    ):
        with pytest.raises(NotAllowed):
            registry.create("eu", actor=actor)


def test_namespaces_are_not_compared_with_their_settings_while_there_are_as_many() -> None:
    def plan() -> str:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN ANALYZE {registry.COMPLETE_NAMESPACES.text}")
            return "\n".join(line for (line,) in cursor.fetchall())

    registry.create("eu", actor=SYSTEM)
    assert "never executed" in plan()
    Namespace.objects.create(name="us")
    assert registry.complete() == 1
    assert registry.complete() == 0
