"""Retry of a failed parent: what failed under it, in batches."""

import pytest
from django.db import transaction

from governance.access.actors import SYSTEM
from orbit.conductor import aggregate, fanout, retrying, work
from orbit.errors import InvalidTransition
from orbit.models import ConductorParent, ConductorTask
from telemetry.models import OutboxEvent
from tests.support import conductor
from tests.support.conductor_tree import Tree, cancel, end, rows, states, wrong_counts

pytestmark = pytest.mark.django_db


def settle() -> None:
    aggregate.run_to_end()
    assert wrong_counts() == []


def finish(ids: list[str]) -> None:
    """Succeed with failed tasks that are ready, as their workers would."""
    rows(
        "UPDATE orbit_conductortask SET state = 'RUNNING', ready = false"
        " WHERE id = ANY(%s) AND state = 'FAILED' AND ready",
        ids,
    )
    rows("UPDATE orbit_conductortask SET state = 'SUCCEEDED' WHERE id = ANY(%s)", ids)


def ready(ids: list[str]) -> int:
    return ConductorTask.objects.filter(pk__in=ids, state="FAILED", ready=True).count()


@pytest.mark.parametrize("policy", ["wait_all", "fail_fast"])
def test_failed_children_are_retried_in_batches_and_fail_their_parent_no_more(
    policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "BATCH", 3)
    tree = Tree()
    top = tree.parent(policy=policy)
    leaves = tree.leaves(8, top)
    end("FAILED", leaves)
    settle()
    assert (states([top]), tree.state) == (["FAILED"], "FAILED")
    work.retry(top, actor=SYSTEM)
    assert ready(leaves) == 3
    # Five failures are counted still: they decide nothing while the retry goes on.
    rows("UPDATE orbit_conductorparent SET is_retrying = true WHERE task_id = %s", top)
    aggregate.run_aggregate_once(passes=1)
    assert states([top]) == ["RUNNING"]
    settle()
    assert ready(leaves) == 8
    assert states([top]) == ["RUNNING"]
    finish(leaves)
    settle()
    assert (states([top]), tree.state) == (["SUCCEEDED"], "SUCCEEDED")


def test_what_can_not_succeed_is_left_failed_and_fails_its_parent_again() -> None:
    conductor.run({"name": "P", "input": {"fanout": 3, "child": {"fanout": "x"}}})
    while fanout.run_fanout_once().did_something:
        pass
    settle()
    parent = ConductorTask.objects.get(name="P")
    assert parent.state == "FAILED"
    with pytest.raises(InvalidTransition):
        work.retry(parent.pk, actor=SYSTEM)
    mixed = conductor.run(
        {"name": "top"},
        {"name": "bad", "parent": 0, "input": {"fanout": 1.5}},
        {"name": "leaf", "parent": 0},
    )
    top, bad, leaf = (task.id for task in mixed.tasks)
    fanout.run_fanout_once()
    end("FAILED", [leaf])
    settle()
    assert states([top, bad]) == ["FAILED", "FAILED"]
    work.retry(top, actor=SYSTEM)
    settle()
    assert states([top, bad]) == ["RUNNING", "FAILED"]
    finish([leaf])
    settle()
    assert states([top, bad, leaf]) == ["FAILED", "FAILED", "SUCCEEDED"]


def test_a_cancellation_ends_a_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "BATCH", 1)
    tree = Tree()
    top = tree.parent()
    leaves = tree.leaves(4, top)
    end("FAILED", leaves)
    settle()
    work.retry(top, actor=SYSTEM)
    cancel(top)
    settle()
    assert states([top]) == ["CANCELLED"]
    assert ready(leaves) == 0
    row = ConductorParent.objects.get(pk=top)
    assert (row.is_retrying, row.is_cancelling) == (False, False)


def test_a_retried_parent_gets_the_children_that_its_failure_had_kept_back() -> None:
    created = conductor.run({**conductor.parent(4), "failure_policy": "fail_fast"})
    fanout.run_fanout_once(2)
    children = list(ConductorTask.objects.filter(parent__isnull=False).values_list("pk", flat=True))
    end("SUCCEEDED", children[:1])
    end("FAILED", children[1:])
    settle()
    assert (states([created.tasks[0].id]), fanout.is_pending()) == (["FAILED"], False)
    work.retry(created.tasks[0].id, actor=SYSTEM)
    assert fanout.run_fanout_once().children == 2
    finish(children[1:])
    settle()
    assert states([created.tasks[0].id]) == ["RUNNING"]
    assert ConductorTask.objects.filter(parent__isnull=False, state="PENDING").count() == 2


def test_parents_that_run_again_tell_it_by_events() -> None:
    tree = Tree()
    top = tree.parent()
    inner = tree.parent(top)
    end("FAILED", tree.leaves(1, inner))
    settle()
    with transaction.atomic():
        OutboxEvent.objects.all().delete()
    work.retry(top, actor=SYSTEM)
    assert set(OutboxEvent.objects.values_list("name", "task_id")) == {
        ("task_start", top),
        ("task_start", inner),
    }
