"""A bulk run stops if who started it may not do it any more."""

import os
import signal
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection, connections, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from governance.access import actors, tokens
from governance.access.actors import SYSTEM, Actor
from governance.models import (
    ApiToken,
    AuditTrailEntry,
    NamespaceGrant,
    OperationRun,
    OperationRunItem,
    WorkspaceGrant,
)
from orbit.cycles.rerun import bulk as rerun_bulk
from orbit.cycles.rerun.bulk import CycleFilter
from orbit.dispatch import bulk
from orbit.dispatch.bulk import LetterFilter
from orbit.states import Trigger
from tests.support.callers import create_user
from tests.support.dead_letters import create_dead_letters, run_batches
from tests.support.pipeline import configure_endpoints, rows
from tests.support.polling import until


@pytest.fixture(autouse=True)
def _own_database(committed: str, settings: Any) -> None:
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/x")
    create_dead_letters(6)


def by_token(user: User) -> Actor:
    raw = tokens.create(user, scopes=("read", "operate"), actor=SYSTEM)[1]
    caller = tokens.authenticate(raw)
    assert caller is not None
    return caller[1]


def _disable(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def _take_role(user: User) -> None:
    user.groups.set([Group.objects.get(name="Viewer")])


def _take_namespace(user: User) -> None:
    NamespaceGrant.objects.filter(user=user, namespace__name="a").delete()


def _confine(user: User) -> None:
    WorkspaceGrant.objects.filter(user=user).delete()


def _revoke(user: User) -> None:
    tokens.revoke(ApiToken.objects.get(owner=user), actor=SYSTEM)


def _expire(user: User) -> None:
    ApiToken.objects.filter(owner=user).update(expires_at=Now())


def _narrow(user: User) -> None:
    ApiToken.objects.filter(owner=user).update(namespaces=["b"])


LOSSES: list[tuple[tuple[str, ...], bool, Callable[[User], None], str]] = [
    (("a", "b"), False, _disable, "ann was disabled"),
    (("a", "b"), False, _take_role, "ann has lost the permission operate"),
    (("a", "b"), False, _take_namespace, "ann no longer sees a"),
    ((), False, _confine, "ann no longer sees the whole workspace"),
    ((), True, _disable, "ann was disabled"),
    ((), True, _revoke, "the token of ann was revoked or has expired"),
    ((), True, _expire, "the token of ann was revoked or has expired"),
    ((), True, _narrow, "ann no longer sees the whole workspace"),
]


@pytest.mark.parametrize(("namespaces", "with_token", "lose", "reason"), LOSSES)
def test_the_next_slice_ends_the_run_and_what_was_done_stays(
    namespaces: tuple[str, ...], with_token: bool, lose: Callable[[User], None], reason: str
) -> None:
    user = create_user("ann", "Operator", *namespaces)
    actor = by_token(user) if with_token else actors.of_user(user)
    started = bulk.dismiss(LetterFilter(), actor=actor, reason="x", rate=1)
    run = run_batches(started.run_id)
    assert (run.status, run.progress["processed"]) == ("running", 1)
    lose(user)
    run = run_batches(started.run_id, 2)
    assert (run.status, run.outcome, run.next_due_at) == ("completed", "cancelled", None)
    assert run.progress["note"] == f"stopped: {reason}"
    assert (run.summary_counts["processed"], run.summary_counts["total"]) == (1, 6)
    assert OperationRunItem.objects.filter(run=run, outcome="succeeded").count() == 1
    entry = AuditTrailEntry.objects.get(action="operation.cancelled")
    assert (entry.actor, entry.object_id, entry.reason) == (
        "orbit",
        str(run.pk),
        f"Stopped: {reason}.",
    )
    assert (entry.before["initiator"], entry.after["processed"]) == ("ann", 1)


def test_every_kind_of_run_stops_also_before_its_first_slice() -> None:
    user = create_user()
    actor = actors.of_user(user)
    runs = [
        bulk.requeue(LetterFilter(), actor=actor, reason="x"),
        bulk.dismiss(LetterFilter(), actor=actor, reason="x"),
        rerun_bulk.start(CycleFilter(), actor=actor, reason="x", source=Trigger.REST),
    ]
    user.delete()
    for started in runs:
        run = run_batches(started.run_id)
        assert (run.outcome, run.progress["note"]) == (
            "cancelled",
            "stopped: the user who started it was removed",
        )
        assert run.progress["processed"] == 0


def test_a_run_of_a_command_or_of_who_may_goes_on_with_one_query_more_a_slice() -> None:
    user = create_user()
    for actor in (SYSTEM, actors.operator(), by_token(user), actors.of_user(user)):
        started = bulk.dismiss(LetterFilter(), actor=actor, reason="x", rate=1)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            run = run_batches(started.run_id)
        assert run.progress["processed"] == 1
        asked = [query for query in queries.captured_queries if "auth_user u" in query["sql"]]
        assert len(asked) == (0 if actor.user_id is None else 1)
        assert run_batches(started.run_id, 9).outcome in {"succeeded", None}
        OperationRun.objects.filter(pk=run.pk, outcome=None).update(next_due_at=None)
        create_dead_letters(2)


def test_a_run_of_an_older_release_goes_by_the_name_of_its_user() -> None:
    user = create_user()
    started = bulk.dismiss(LetterFilter(), actor=actors.of_user(user), reason="x", rate=1)
    run = OperationRun.objects.get(pk=started.run_id)
    del run.context["started_by"]
    run.save()
    assert run_batches(started.run_id).progress["processed"] == 1
    _disable(user)
    run = run_batches(started.run_id, 2)
    assert (run.outcome, run.progress["processed"]) == ("cancelled", 1)
    assert run.progress["note"] == "stopped: ann was disabled"


def test_a_stop_that_is_killed_happens_once_later() -> None:
    user = create_user()
    started = bulk.dismiss(LetterFilter(), actor=actors.of_user(user), reason="x")
    _disable(user)
    with transaction.atomic():
        # The stop's last statement waits behind this.
        rows("SELECT 1 FROM governance_audithead FOR UPDATE")
        child = os.fork()
        if child == 0:
            _run_in_child(started.run_id)
        try:
            until(_somebody_waits, "the stop waits for the audit trail")
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

    until(lambda: run_batches(started.run_id).status == "completed", "the run did not stop")
    run = OperationRun.objects.get(pk=started.run_id)
    assert (run.outcome, run.progress["processed"]) == ("cancelled", 0)
    assert AuditTrailEntry.objects.filter(action="operation.cancelled").count() == 1


def _run_in_child(run_id: UUID) -> None:
    try:
        # A connection of its own; the parent's stays referenced, so nothing closes it.
        of_parent = connections["default"]
        connections["default"] = of_parent.copy()
        run_batches(run_id)
    finally:
        os._exit(1)


def _somebody_waits() -> bool:
    return rows("SELECT count(*) FROM pg_locks WHERE NOT granted") != [(0,)]
