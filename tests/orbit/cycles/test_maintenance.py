"""Periodic upkeep: rescue, heartbeat, partitions, pruning."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.postgres.functions import TransactionNow
from django.contrib.sessions.models import Session
from django.db.models.functions import Now
from django_q.models import OrmQ

from governance.kernel.identifiers import uuid7
from governance.models import (
    GovernanceSetting,
    IdempotentRequest,
    LoginAttempt,
    OperationRun,
    RequestCount,
)
from governance.operations import ledger
from governance.states import Outcome
from orbit import queue
from orbit.cycles import maintenance
from orbit.models import ClusterNode, CycleRun, OverviewFacts, SeenMark
from orbit.records import partitions
from tests.support.configuration import active_cycle
from tests.support.pipeline import configure_endpoints, rows


def overdue_cycle(namespace: str = "default", **values: Any) -> CycleRun:
    """Insert a cycle that has been due for a second."""
    rows(
        "INSERT INTO governance_namespace (name, external_id) VALUES (%s, gen_random_uuid())"
        " ON CONFLICT DO NOTHING RETURNING 1",
        namespace,
    )
    cycle = active_cycle(namespace)
    CycleRun.objects.filter(pk=cycle.pk).update(next_due_at=Now() - timedelta(seconds=1), **values)
    return cycle


@pytest.mark.django_db
def test_an_overdue_cycle_is_woken_once_while_the_wakeup_waits() -> None:
    overdue_cycle()
    assert [maintenance.rescue(2), maintenance.rescue(2)] == [1, 0]
    assert queue.ready_wakeups() == 1


@pytest.mark.django_db
def test_no_more_wakeups_than_workers() -> None:
    for name in "abc":
        overdue_cycle(name)
    assert maintenance.rescue(2) == 2
    assert OrmQ.objects.count() == 2


@pytest.mark.django_db
def test_a_cycle_is_woken_when_its_lease_has_run_out_and_not_before() -> None:
    cycle = overdue_cycle(lease_owner="w", lease_expires_at=Now() + timedelta(seconds=5))
    assert maintenance.rescue(2) == 0
    CycleRun.objects.filter(pk=cycle.pk).update(lease_expires_at=Now() - timedelta(seconds=1))
    assert maintenance.rescue(2) == 1


@pytest.mark.django_db
def test_a_halted_cycle_and_a_paused_process_wake_nothing(settings: Any) -> None:
    overdue_cycle()
    setting, _ = GovernanceSetting.objects.get_or_create(
        namespace_id=rows("SELECT id FROM governance_namespace WHERE name = 'default'")[0][0]
    )
    GovernanceSetting.objects.filter(pk=setting.pk).update(halt=True, mode="halting")
    assert maintenance.rescue(2) == 0
    GovernanceSetting.objects.filter(pk=setting.pk).update(halt=False, mode="running")
    settings.ORBIT_GLOBAL_PAUSE = True
    assert maintenance.rescue(2) == 0
    settings.ORBIT_GLOBAL_PAUSE = False
    assert maintenance.rescue(2) == 1


@pytest.mark.django_db
def test_a_cycle_that_has_just_become_due_is_left_to_its_own_wakeup() -> None:
    cycle = active_cycle()
    # In the test's transaction now() stands still: it is due for 0 s, however slow this is.
    CycleRun.objects.filter(pk=cycle.pk).update(
        next_due_at=TransactionNow(), lease_owner=None, lease_expires_at=None
    )
    assert maintenance.rescue(2) == 0
    CycleRun.objects.filter(pk=cycle.pk).update(next_due_at=Now() - timedelta(seconds=1))
    assert maintenance.rescue(2) == 1


@pytest.mark.django_db
def test_the_heartbeat_is_one_row_that_is_renewed_and_removed(settings: Any) -> None:
    configure_endpoints(settings, one="http://127.0.0.1:9", two="http://127.0.0.1:9")
    node, long_ago = uuid7(), datetime.now(UTC) - timedelta(days=1)
    for draining in (False, True):
        # In the test's transaction now() stands still: without this no renewal could be seen.
        ClusterNode.objects.update(seen_at=long_ago)
        maintenance.heartbeat(node, host="h", pid=7, release="1", workers=2, draining=draining)
    row = ClusterNode.objects.get()
    assert row.seen_at - long_ago > timedelta(hours=23)
    assert (row.id, row.host, row.pid, row.workers, row.draining) == (node, "h", 7, 2, True)
    assert row.endpoints == 2
    maintenance.deregister(node)
    assert not ClusterNode.objects.exists()


def test_a_role_that_owns_no_table_can_create_a_missing_partition(committed: str) -> None:
    assert partitions.ensure() == 0
    ahead = date.today() + timedelta(days=40)
    assert rows("SELECT telemetry_ensure_partitions(%s, %s)", ahead, ahead) == [(1,)]
    assert rows(
        "SELECT to_regclass(%s) IS NOT NULL", f"telemetry_telemetryevent_p{ahead:%Y%m%d}"
    ) == [(True,)]


@pytest.mark.django_db
def test_old_rows_are_pruned_and_the_others_stay() -> None:
    owner = User.objects.create(username="u")
    for key, hours in (("old", 25), ("new", 23)):
        request = IdempotentRequest.objects.create(
            owner=owner, route="r", key=key, body_sha256="0", status=202, answer={}
        )
        IdempotentRequest.objects.filter(pk=request.pk).update(
            created_at=datetime.now(UTC) - timedelta(hours=hours)
        )
        ClusterNode.objects.create(
            id=uuid7(),
            host=key,
            pid=1,
            release="1",
            workers=1,
            seen_at=datetime.now(UTC) - timedelta(hours=hours),
        )
    for key, minutes in (("old", 61), ("new", 59)):
        ago = datetime.now(UTC) - timedelta(minutes=minutes)
        LoginAttempt.objects.create(name=key, address="a", failures=1, since=ago, ends_at=ago)
        RequestCount.objects.create(caller=key, minute=ago, requests=1)
    for key, hours in (("old", 25), ("ended", 23), ("open", -1)):
        end = datetime.now(UTC) - timedelta(hours=hours)
        Session.objects.create(session_key=key, session_data="", expire_date=end)
    maintenance.prune()
    assert set(Session.objects.values_list("session_key", flat=True)) == {"ended", "open"}
    assert list(LoginAttempt.objects.values_list("name", flat=True)) == ["new"]
    assert list(RequestCount.objects.values_list("caller", flat=True)) == ["new"]
    assert list(IdempotentRequest.objects.values_list("key", flat=True)) == ["new"]
    assert list(ClusterNode.objects.values_list("host", flat=True)) == ["new"]


@pytest.mark.django_db
def test_old_overviews_and_marks_of_users_are_pruned(settings: Any) -> None:
    settings.ORBIT_RETENTION_DAYS = 30
    for name, days in (("old", 31), ("new", 29)):
        SeenMark.objects.create(kind="cycle", key=name, by="u", at=Now() - timedelta(days=days))
    for name, hours in (("old", 25), ("new", 23)):
        OverviewFacts.objects.create(scope=name, taken_at=Now() - timedelta(hours=hours))
    maintenance.prune()
    assert list(SeenMark.objects.values_list("key", flat=True)) == ["new"]
    assert list(OverviewFacts.objects.values_list("scope", flat=True)) == ["new"]


@pytest.mark.django_db
def test_ended_sessions_go_in_slices_the_oldest_first() -> None:
    for number in range(5):
        end = datetime.now(UTC) - timedelta(days=9 - number)
        Session.objects.create(session_key=f"s{number}", session_data="", expire_date=end)
    maintenance.prune(limit=3)
    assert set(Session.objects.values_list("session_key", flat=True)) == {"s3", "s4"}
    maintenance.prune(limit=3)
    assert not Session.objects.exists()


@pytest.mark.django_db
def test_a_late_operation_run_is_woken_once_unless_tasks_wait() -> None:
    late, _ = ledger.ensure_workspace_run_with_identity("t", {"n": 1}, initiator="ann")
    ledger.ensure_workspace_run_with_identity("t", {"n": 2}, initiator="ann")
    completed, _ = ledger.ensure_workspace_run_with_identity("t", {"n": 3}, initiator="ann")
    OperationRun.objects.filter(pk=late.pk).update(next_due_at=Now() - timedelta(seconds=4))
    ledger.complete(completed, Outcome.SUCCEEDED, {}, progress={})
    assert [maintenance.wake_operations(), maintenance.wake_operations()] == [1, 0]
    task = queue.read(*queue.PgBroker().dequeue()[0])
    assert task is not None
    assert (task["func"], task["args"]) == (queue.OPERATE, (str(late.pk),))
