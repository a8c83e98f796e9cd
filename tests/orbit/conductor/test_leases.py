"""Claims and leases."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from governance.access.actors import SYSTEM, Actor
from governance.access.roles import Scope
from governance.namespaces import halts
from orbit.conductor import fenced, leases
from orbit.conductor.fenced import Held
from orbit.conductor.leases import Claimed
from orbit.errors import ConductorRunUnknown, InvalidTransition, LeaseLost, TaskUnknown
from orbit.models import ConductorTally, ConductorTask
from telemetry.models import OutboxEvent
from tests.support.conductor_tasks import create_parent, create_run, create_tasks

pytestmark = pytest.mark.django_db


def claim(limit: int = 10, actor: Actor = SYSTEM, **choices: Any) -> list[Claimed]:
    return leases.claim(actor, "w1", limit, choices.pop("lease_seconds", 30), **choices)


def names(claimed: list[Claimed]) -> list[str]:
    return [task.name for task in claimed]


def held(task: Claimed) -> Held:
    return Held(task.id, task.lease_token)


def confined(*namespaces: str) -> Actor:
    return Actor("bea", None, frozenset(Scope), frozenset(namespaces))


def let_expire(*ids: str) -> None:
    """End leases as time does."""
    gone = timezone.now() - timedelta(seconds=1)
    ConductorTask.objects.filter(pk__in=ids).update(lease_expires_at=gone)


def test_a_claim_takes_ready_tasks_by_priority_and_starts_their_run() -> None:
    run = create_run()
    create_tasks(run, 2)
    create_tasks(run, 1, name="urgent", priority=5, input={"x": 1})
    first, second = claim(2)
    assert names([first, second]) == ["urgent", "t1"]
    assert json.loads(first.input) == {"x": 1}
    assert (first.run_id, first.namespace, first.attempt) == (run.pk, "default", 1)
    row = ConductorTask.objects.get(pk=first.id)
    assert (row.state, row.ready, row.worker, row.lease_seconds) == ("RUNNING", False, "w1", 30)
    assert row.lease_token == first.lease_token
    assert row.lease_expires_at == first.lease_expires_at
    run.refresh_from_db()
    assert run.state == "RUNNING"
    assert run.started_at is not None
    assert names(claim()) == ["t2"]
    assert claim() == []


def test_parents_are_never_claimed_and_children_get_their_derived_input() -> None:
    run = create_run()
    plain = create_parent(run, 1, input={"fanout": 1, "size": 7})
    template = create_parent(run, 1, input={"fanout": 1, "child": {"kind": "x"}})
    create_tasks(run, 1, parent=plain)
    create_tasks(run, 1, parent=template)
    assert [json.loads(task.input) for task in claim()] == [
        {"size": 7, "index": 1},
        {"kind": "x", "index": 1},
    ]


def test_namespaces_share_a_claim_and_a_confined_actor_gets_only_its_own() -> None:
    for namespace, count in {"a": 20, "b": 20, "c": 1}.items():
        create_tasks(create_run(namespace), count)
    shares = [task.namespace for task in claim(9)]
    assert (shares.count("a"), shares.count("b"), shares.count("c")) in {(3, 5, 1), (5, 3, 1)}
    assert {task.namespace for task in claim(50, actor=confined("b", "none"))} == {"b"}
    assert claim(50, actor=confined()) == []


def test_a_claim_of_one_run_takes_no_other() -> None:
    first, second = create_run(), create_run("b")
    create_tasks(first, 1)
    create_tasks(second, 1, name="mine")
    with pytest.raises(ConductorRunUnknown):
        claim(run_id=second.pk, actor=confined("a"))
    assert names(claim(run_id=second.pk, actor=confined("b"))) == ["mine"]
    assert claim(run_id=second.pk) == []


def test_a_stopped_namespace_gives_no_task_and_its_workers_can_still_complete() -> None:
    run = create_run("a")
    create_tasks(run, 2)
    (task,) = claim(1)
    halts.halt("a", actor=SYSTEM, reason="stop")
    assert claim() == []
    assert claim(run_id=run.pk) == []
    assert fenced.complete([held(task)], [None], actor=SYSTEM)[0].state == "SUCCEEDED"
    halts.resume("a", actor=SYSTEM, reason="go")
    assert names(claim()) == ["t2"]


def test_an_expired_lease_is_fenced_off_and_its_task_goes_to_another() -> None:
    create_tasks(create_run(), 1)
    (old,) = claim()
    let_expire(old.id)
    (new,) = claim()
    assert (new.id, new.attempt) == (old.id, 2)
    assert new.lease_token != old.lease_token
    for write in (
        fenced.heartbeat([held(old)], actor=SYSTEM),
        fenced.complete([held(old)], [1], actor=SYSTEM),
        fenced.fail([held(old)], error="x", actor=SYSTEM),
        fenced.release([held(old)], actor=SYSTEM),
    ):
        assert isinstance(write[0].error, LeaseLost)
    assert fenced.complete([held(new)], [2], actor=SYSTEM)[0].error is None
    assert ConductorTask.objects.get().output == 2
    assert [event.name for event in OutboxEvent.objects.order_by("occurred_at")] == [
        "task_start",
        "task_end",
    ]


def test_a_lease_that_has_just_expired_refuses_its_holder_too() -> None:
    create_tasks(create_run(), 1)
    (task,) = claim()
    let_expire(task.id)
    assert isinstance(fenced.complete([held(task)], [1], actor=SYSTEM)[0].error, LeaseLost)


def test_a_heartbeat_renews_for_as_long_as_the_claim_said() -> None:
    create_tasks(create_run(), 1)
    (task,) = claim(lease_seconds=600)
    almost = timezone.now() + timedelta(seconds=60)
    ConductorTask.objects.update(lease_expires_at=almost)
    (renewed,) = fenced.heartbeat([held(task)], actor=SYSTEM)
    assert renewed.lease_expires_at is not None
    assert renewed.lease_expires_at >= task.lease_expires_at
    (shorter,) = fenced.heartbeat([held(task)], actor=SYSTEM, lease_seconds=5)
    assert shorter.lease_expires_at is not None
    assert shorter.lease_expires_at < renewed.lease_expires_at


def test_a_released_task_stays_running_and_is_claimed_again_under_a_new_token() -> None:
    create_tasks(create_run(), 1)
    (task,) = claim()
    assert fenced.release([held(task)], actor=SYSTEM)[0].state == "RUNNING"
    assert isinstance(fenced.release([held(task)], actor=SYSTEM)[0].error, LeaseLost)
    (again,) = claim()
    assert (again.id, again.attempt) == (task.id, 2)
    assert OutboxEvent.objects.filter(name="task_start").count() == 1


def test_a_claim_that_its_worker_never_got_uses_up_no_attempt() -> None:
    create_tasks(create_run(), 1, max_attempts=1)
    (task,) = claim()
    assert fenced.give_back([held(task)], actor=SYSTEM)[0].state == "RUNNING"
    assert isinstance(fenced.complete([held(task)], [1], actor=SYSTEM)[0].error, LeaseLost)
    assert isinstance(fenced.give_back([held(task)], actor=SYSTEM)[0].error, LeaseLost)
    (again,) = claim()
    assert (again.id, again.attempt) == (task.id, 1)
    assert fenced.complete([held(again)], [1], actor=SYSTEM)[0].error is None
    assert isinstance(fenced.give_back([held(again)], actor=SYSTEM)[0].error, InvalidTransition)
    assert [event.name for event in OutboxEvent.objects.order_by("occurred_at")] == [
        "task_start",
        "task_end",
    ]


def test_a_task_completes_once_and_its_output_may_be_anything_of_json() -> None:
    create_tasks(create_run(), 1)
    (task,) = claim()
    output = {"text": "Grüße 🙂", "list": [1, 2.5, None, True], "nested": {"": []}}
    assert fenced.complete([held(task)], [output], actor=SYSTEM)[0].error is None
    assert isinstance(fenced.complete([held(task)], [1], actor=SYSTEM)[0].error, InvalidTransition)
    row = ConductorTask.objects.get()
    assert row.output == output
    assert (row.state, row.lease_expires_at, row.ready) == ("SUCCEEDED", None, False)
    assert row.finished_at is not None


def test_a_failed_task_is_ready_again_until_its_attempts_are_used_up() -> None:
    run = create_run()
    create_tasks(run, 1, max_attempts=2)
    (first,) = claim()
    fenced.fail([held(first)], error="no network", actor=SYSTEM)
    row = ConductorTask.objects.get()
    assert (row.state, row.ready, row.error, row.finished_at) == (
        "FAILED",
        True,
        "no network",
        None,
    )
    (second,) = claim()
    fenced.fail([held(second)], error="y" * 30_000, actor=SYSTEM)
    row.refresh_from_db()
    assert (row.state, row.ready, row.attempt) == ("FAILED", False, 2)
    assert row.error == "y" * fenced.MAX_ERROR + "…"
    assert claim() == []
    tallies = ConductorTally.objects.filter(run_id=run.pk).order_by("id")
    assert [(t.pending, t.running, t.retrying, t.failed) for t in tallies] == [
        (-1, 1, 0, 0),
        (0, -1, 1, 0),
        (0, 1, -1, 0),
        (0, -1, 0, 1),
    ]


def test_each_task_of_a_batch_has_its_own_result() -> None:
    create_tasks(create_run(), 3)
    hidden = create_tasks(create_run("b"), 1)[0]
    mine = claim(actor=confined("default"))
    fenced.complete([held(mine[2])], [0], actor=SYSTEM)
    calls = [held(mine[2]), Held(mine[1].id, uuid4()), held(mine[0]), Held(hidden.pk, uuid4())]
    results = fenced.complete(calls, [1, 2, 3, 4], actor=confined("default"))
    assert [result.id for result in results] == [call.task_id for call in calls]
    assert [type(result.error) for result in results] == [
        InvalidTransition,
        LeaseLost,
        type(None),
        TaskUnknown,
    ]
    assert ConductorTask.objects.get(pk=mine[0].id).output == 3


@pytest.mark.parametrize("ended", ["cancelled parent", "cancelling parent", "cancelled run"])
def test_a_claim_cancels_tasks_whose_parent_or_run_is_cancelled_and_looks_further(
    ended: str,
) -> None:
    run = create_run(**({"cancel_requested_at": timezone.now()} if "run" in ended else {}))
    parent = create_parent(run, 3, **({"state": "CANCELLED"} if "cancelled p" in ended else {}))
    if ended == "cancelling parent":
        parent.conductorparent.is_cancelling = True
        parent.conductorparent.save()
    create_tasks(run, 3, parent=parent, priority=9)
    create_tasks(create_run(), 1, name="other")
    assert names(claim(2)) == ["other"]
    children = ConductorTask.objects.filter(parent=parent)
    assert {(task.state, task.ready) for task in children} == {("CANCELLED", False)}
    cancelled = OutboxEvent.objects.filter(name="decision", metadata={"status": "cancelled"})
    assert {event.task_id for event in cancelled} >= {task.pk for task in children[:2]}


def test_claims_are_not_held_up_by_a_large_cancelled_tree() -> None:
    cancelled = create_run(cancel_requested_at=timezone.now())
    create_tasks(cancelled, 3_000, priority=9)
    lower = create_run()
    create_tasks(lower, 5, name="lower")
    create_tasks(create_run(), 2, name="higher", priority=1)
    create_tasks(create_run("other"), 2, name="other")
    # The 3,000 are met a thousand at a time. What is looked at beside them isn't given.
    given = claim(4)
    assert sorted(names(given)) == ["higher", "higher", "other", "other"]
    assert ConductorTask.objects.filter(run=lower, ready=True).count() == 5
    lower.refresh_from_db()
    assert lower.state == "PENDING"
    assert not ConductorTask.objects.filter(run=cancelled, ready=True).exists()


def test_large_inputs_bound_a_claim_but_one_task_is_always_given() -> None:
    run = create_run()
    parent = create_parent(run, 30, input={"fanout": 30, "text": "x" * 1_000_000})
    create_tasks(run, 30, parent=parent)
    assert 1 <= len(claim(30)) < 12


def test_events_tell_each_transition_with_run_task_and_namespace() -> None:
    run = create_run("a")
    create_tasks(run, 1, name="job", priority=3, max_attempts=2)
    (task,) = claim()
    fenced.fail([held(task)], error="x", actor=SYSTEM)
    (task,) = claim()
    fenced.complete([held(task)], [1], actor=SYSTEM)
    events = list(OutboxEvent.objects.order_by("occurred_at"))
    assert [(event.name, event.metadata) for event in events] == [
        ("task_start", {"title": "job", "priority": 3}),
        ("task_end", {"success": False}),
        ("task_start", {"title": "job", "priority": 3}),
        ("task_end", {"success": True}),
    ]
    assert {(e.session_id, e.task_id, e.namespace) for e in events} == {(run.pk, task.id, "a")}
    assert all((event.duration_ms is not None) == (event.name == "task_end") for event in events)
    assert all(event.id.version == 7 for event in events)
