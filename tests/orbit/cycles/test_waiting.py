"""What a cycle waits for, in words and with a time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.kernel import clock
from governance.kernel.identifiers import uuid7
from governance.namespaces import registry
from governance.namespaces.gate import NamespaceDraining, NamespaceHalted
from orbit.cycles import waiting
from orbit.cycles.waiting import Kind, OpenWork, Wait
from orbit.models import CycleRun
from tests.support.configuration import active_cycle

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SOON, BEFORE = NOW + timedelta(seconds=42), NOW - timedelta(seconds=60)


def _wait(*work: OpenWork, stop: Any = None, status: str = "running", **members: Any) -> Wait:
    cycle = CycleRun(id=uuid7(), namespace_id="eu", status=status, **members)
    return waiting.decide(cycle, work, stop=stop, now=NOW)


@pytest.mark.parametrize(
    ("wait", "kind", "text", "until"),
    [
        (_wait(status="pending"), Kind.WORKER, "no worker has taken it yet", None),
        (_wait(), Kind.WORKER, "it waits for a worker", None),
        (
            _wait(stop=NamespaceHalted("eu is halted since 09:12 by ann.")),
            Kind.STOP,
            "eu is halted since 09:12 by ann",
            None,
        ),
        (_wait(stop=NamespaceDraining("x")), Kind.WORKER, "it waits for a worker", None),
        (
            _wait(OpenWork("aurora", retry_at=SOON)),
            Kind.RETRY,
            "the next retry to aurora is due in 42 s",
            SOON,
        ),
        (
            _wait(OpenWork(None, retry_at=SOON)),
            Kind.RETRY,
            "the next retry is due in 42 s",
            SOON,
        ),
        (
            _wait(OpenWork("aurora", due=2, opened_at=BEFORE, probe_at=SOON), next_due_at=SOON),
            Kind.BREAKER,
            "the breaker of aurora is open since 11:59:00 UTC, next probe in 42 s",
            SOON,
        ),
        (
            _wait(OpenWork("aurora", due=2), next_due_at=SOON),
            Kind.ENDPOINT,
            "waiting for aurora (at its limit); next check in 42 s",
            SOON,
        ),
        (
            _wait(OpenWork("aurora", sending=1), lease_expires_at=NOW + timedelta(days=1)),
            Kind.ENDPOINT,
            "it waits for an answer of aurora (1 request is under way)",
            None,
        ),
        (_wait(lease_expires_at=NOW + timedelta(days=1)), Kind.NOTHING, "", None),
        (
            _wait(lease_expires_at=NOW + timedelta(seconds=1)),
            Kind.LEASE,
            "its worker has not renewed its lease since 11:59:46 UTC; another one takes over at "
            "12:00:01 UTC",
            NOW + timedelta(seconds=1),
        ),
        (
            _wait(lease_expires_at=BEFORE),
            Kind.LEASE,
            "its worker has been silent since 11:59:00 UTC; another one will take over",
            BEFORE,
        ),
    ],
)
def test_a_cycle_says_what_it_waits_for(
    wait: Wait, kind: Kind, text: str, until: datetime | None, settings: Any
) -> None:
    assert wait == Wait(kind, text, until)


@pytest.mark.django_db
def test_a_page_of_cycles_costs_as_many_queries_as_one() -> None:
    registry.ensure(["a", "b", "c"])
    for namespace in ("a", "b", "c"):
        active_cycle(namespace)
    CycleRun.objects.filter(namespace="c").update(status="queued")
    cycles = list(CycleRun.objects.all())
    with CaptureQueriesContext(connection) as queries:
        waits = waiting.of(cycles, now=clock.now())
    assert len(queries) <= 6
    assert sorted(wait.kind for wait in waits.values()) == ["queue", "worker", "worker"]
    assert waiting.of([], now=NOW) == {}
