"""The start of a bulk run: the letters it takes, and that it is started once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django_q.models import OrmQ

from governance.access.actors import SYSTEM, NamespaceUnknown, NotAllowed
from governance.models import AuditTrailEntry, OperationRun, OperationRunItem
from orbit.dispatch import bulk
from orbit.dispatch.bulk import LetterFilter
from orbit.models import DeadLetterDispatch
from tests.support.dead_letters import create_dead_letters
from tests.support.pipeline import configure_endpoints

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture(autouse=True)
def _endpoints(committed: str, settings: Any) -> None:
    configure_endpoints(
        settings, default_endpoint="http://127.0.0.1:9/x", other="http://127.0.0.1:9/y"
    )


def item_ids(run_id: UUID) -> set[UUID]:
    return set(OperationRunItem.objects.filter(run=run_id).values_list("object_id", flat=True))


def test_a_filter_takes_the_open_letters_that_match_now() -> None:
    a, b, c = (
        create_dead_letters(2, namespace="a"),
        create_dead_letters(2, namespace="b", key="other"),
        create_dead_letters(1, namespace="b", error="tls", code=None),
    )
    DeadLetterDispatch.objects.filter(pk=a[0]).update(status="dismissed")
    group = DeadLetterDispatch.objects.get(pk=c[0]).error_group
    now = datetime.now(UTC)
    for filters, expected in (
        (LetterFilter(), {a[1], *b, *c}),
        (LetterFilter(namespace="a"), {a[1]}),
        (LetterFilter(endpoint_key="other"), set(b)),
        (LetterFilter(group=group), set(c)),
        (LetterFilter(reason="retries_exhausted", namespace="b"), {*b, *c}),
        (LetterFilter(cycle_run_id=b[1]), {b[1]}),
        (LetterFilter(created_after=now - timedelta(hours=1)), {a[1], *b, *c}),
        (LetterFilter(created_before=now - timedelta(hours=1)), set()),
    ):
        started = bulk.requeue(filters, actor=SYSTEM, reason="x")
        assert (item_ids(started.run_id), started.matched) == (expected, len(expected)), filters
        run = OperationRun.objects.get(pk=started.run_id)
        assert run.context["filter"] == filters.to_json()
        assert (run.namespace is None) == (filters.namespace is None)


def test_a_filter_that_matches_nothing_is_a_run_that_has_ended() -> None:
    started = bulk.requeue(LetterFilter(), actor=SYSTEM, reason="x")
    run = OperationRun.objects.get(pk=started.run_id)
    assert (run.status, run.outcome, run.summary_counts["total"], run.progress["note"]) == (
        "completed",
        "skipped",
        0,
        "nothing matches",
    )
    assert not OrmQ.objects.exists()


def test_more_than_a_run_takes_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "REQUEUE", replace(bulk.REQUEUE, max_objects=3))
    letters = create_dead_letters(5)
    started = bulk.requeue(LetterFilter(), actor=SYSTEM, reason="x")
    run = OperationRun.objects.get(pk=started.run_id)
    assert (started.matched, item_ids(run.pk), run.progress["total"], run.progress["more"]) == (
        3,
        set(letters[:3]),
        3,
        True,
    )
    assert "more than 3 match" in run.progress["note"]


def test_the_same_choice_is_the_active_run_and_another_choice_a_new_run() -> None:
    create_dead_letters(2)
    first = bulk.requeue(LetterFilter(), actor=SYSTEM, reason="x")
    second_start = bulk.requeue(LetterFilter(), actor=SYSTEM, reason="y", rate=99)
    assert (second_start.run_id, second_start.matched, second_start.created) == (
        first.run_id,
        2,
        False,
    )
    assert (
        bulk.requeue(LetterFilter(), actor=SYSTEM, reason="x", endpoint="current").run_id
        != first.run_id
    )
    assert bulk.dismiss(LetterFilter(), actor=SYSTEM, reason="x").run_id != first.run_id
    assert AuditTrailEntry.objects.filter(action="operation.started").count() == 3
    OperationRun.objects.filter(pk=first.run_id).update(
        status="completed", outcome="cancelled", finished_at=datetime.now(UTC), next_due_at=None
    )
    assert bulk.requeue(LetterFilter(), actor=SYSTEM, reason="x").created


def test_ids_name_letters_in_any_order_and_each_once() -> None:
    a, b = create_dead_letters(2)
    first = bulk.requeue([a, b, a], actor=SYSTEM, reason="x")
    assert bulk.requeue([b, a], actor=SYSTEM, reason="x").run_id == first.run_id
    assert (first.matched, item_ids(first.run_id)) == (2, {a, b})


def test_a_confined_user_takes_only_letters_of_their_namespaces() -> None:
    a, b, _ = (
        create_dead_letters(1, namespace="a"),
        create_dead_letters(1, namespace="b"),
        create_dead_letters(1, namespace="c"),
    )
    actor = replace(SYSTEM, namespaces=frozenset({"a", "b"}))
    started = bulk.requeue(LetterFilter(), actor=actor, reason="x")
    run = OperationRun.objects.get(pk=started.run_id)
    assert (item_ids(run.pk), run.scope, run.namespace) == ({*a, *b}, ["a", "b"], None)
    alone = OperationRun.objects.get(
        pk=bulk.requeue(
            LetterFilter(), actor=replace(SYSTEM, namespaces=frozenset({"b"})), reason="x"
        ).run_id
    )
    assert (item_ids(alone.pk), alone.scope, alone.namespace.name if alone.namespace else None) == (
        set(b),
        ["b"],
        "b",
    )
    for hidden in ("c", "nowhere"):
        with pytest.raises(NamespaceUnknown):
            bulk.requeue(LetterFilter(namespace=hidden), actor=actor, reason="x")
    with pytest.raises(NamespaceUnknown):
        bulk.requeue(LetterFilter(), actor=replace(SYSTEM, namespaces=frozenset()), reason="x")
    with pytest.raises(NotAllowed):
        bulk.dismiss([uuid4()], actor=replace(SYSTEM, scopes=frozenset()), reason="x")


def test_of_many_equal_starts_at_once_one_makes_a_run() -> None:
    create_dead_letters(50)

    def start(_: int) -> tuple[UUID, bool]:
        try:
            started = bulk.requeue(LetterFilter(), actor=SYSTEM, reason="x")
            return started.run_id, started.created
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as pool:
        starts = list(pool.map(start, range(32)))
    assert len({run for run, _ in starts}) == 1
    assert sum(created for _, created in starts) == 1
    assert OperationRunItem.objects.count() == 50


def test_a_rate_of_zero_is_one_a_second() -> None:
    create_dead_letters(1)
    run = bulk.dismiss(LetterFilter(), actor=SYSTEM, reason="x", rate=0)
    assert OperationRun.objects.get(pk=run.run_id).context["rate"] == 1
