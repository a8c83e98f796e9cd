"""A user says that they look after a cycle or a group of dead letters."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from governance.access.actors import Actor, NotAllowed
from governance.access.roles import Scope
from governance.models import AuditTrailEntry
from orbit import seen
from orbit.models import SeenMark
from orbit.states import SeenKind


def user(name: str, *scopes: Scope) -> Actor:
    return Actor(name=name, user_id=1, scopes=frozenset(scopes), namespaces=None)


ANN = user("ann", Scope.READ, Scope.OPERATE)


@pytest.mark.django_db
def test_the_last_user_who_marks_an_object_looks_after_it() -> None:
    seen.mark(SeenKind.GROUP, ["g1", "g2"], ANN)
    seen.mark(SeenKind.GROUP, ["g2"], user("ben", Scope.OPERATE))
    marks = seen.of(SeenKind.GROUP, ["g1", "g2", "g3"])
    assert {key: mark.by for key, mark in marks.items()} == {"g1": "ann", "g2": "ben"}
    assert seen.of(SeenKind.CYCLE, ["g1"]) == {}


@pytest.mark.django_db
def test_a_mark_on_a_group_by_a_confined_user_counts_only_for_those_who_see_the_same() -> None:
    bea = Actor("bea", 2, frozenset({Scope.OPERATE}), frozenset({"a"}))
    seen.mark(SeenKind.GROUP, ["g"], bea)
    assert seen.of(SeenKind.GROUP, ["g"]) == {}
    assert seen.of(SeenKind.GROUP, ["g"], namespaces=["b"]) == {}
    assert seen.of(SeenKind.GROUP, ["g"], namespaces=["a"])["g"].by == "bea"
    seen.mark(SeenKind.GROUP, ["g"], ANN)
    for namespaces in (None, ["a"], ["b"]):
        assert seen.of(SeenKind.GROUP, ["g"], namespaces=namespaces)["g"].by == "ann"
    assert AuditTrailEntry.objects.first().after["keys"] == ["g"]  # type: ignore[union-attr]


@pytest.mark.django_db
def test_a_mark_leaves_one_audit_entry() -> None:
    seen.mark(SeenKind.CYCLE, ["c1"], ANN, namespace="a")
    entry = AuditTrailEntry.objects.get()
    assert (entry.action, entry.actor, entry.object_type) == ("seen.marked", "ann", "cycle")
    assert (entry.object_id, entry.namespace) == ("c1", "a")
    seen.mark(SeenKind.CYCLE, [], ANN)
    assert AuditTrailEntry.objects.count() == 1


@pytest.mark.django_db
def test_only_an_operator_marks() -> None:
    with pytest.raises(NotAllowed):
        seen.mark(SeenKind.GROUP, ["g"], user("eve", Scope.READ))
    assert not SeenMark.objects.exists()


@pytest.mark.django_db
def test_the_database_refuses_another_kind() -> None:
    values: dict[str, Any] = {"kind": "other", "key": "k", "by": "ann"}
    with pytest.raises(IntegrityError), transaction.atomic():
        SeenMark.objects.create(**values)
