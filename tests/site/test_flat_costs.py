"""What is polled costs the same with a hundred times as much waiting; counted in pages."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import psycopg
import pytest
from django.db import connection, connections

from governance.kernel.sql import Statement
from orbit import queue
from orbit.cycles import halt_certificates, lease, maintenance, namespace_queue
from orbit.cycles.cursor import Cursor, SuspectedCursor
from orbit.records import fence
from orbit.records.fence import ALONE_FROM
from orbit_site.processes.postgres import Server
from orbit_site.processes.supervisor import BY_INDEX
from tests import conftest
from tests.support import backlog, database

FEW, MANY = 1_000, 100_000
# An index of a hundred times as many rows is a page deeper, and a write goes down each of them.
MOST, DEEPER = 2, 40
PAUSE = "INSERT INTO governance_stop (kind, started_by) VALUES ('pause', 'ann')"
HALTS = """INSERT INTO governance_stop (namespace_id, kind, started_by, since)
SELECT namespace_id, 'halt', 'ann', now() - interval '1 hour'
FROM governance_governancesetting WHERE halt"""
RUNNING = """UPDATE orbit_cyclerun SET lease_owner = 'w', lease_expires_at = now() + interval '1 h',
    next_due_at = now() + interval '1 h'
WHERE id IN (SELECT id FROM orbit_cyclerun WHERE status <> 'queued' ORDER BY id LIMIT 8)"""
CLAIMED = """UPDATE orbit_cyclerun SET next_due_at = now() + interval '1 hour'
WHERE id IN (SELECT id FROM orbit_cyclerun WHERE next_due_at <= now() AND resumes = 0
    ORDER BY next_due_at, id LIMIT %s)"""
ENQUEUE = """INSERT INTO django_q_ormq (key, payload, lock)
SELECT %s, 'x', now() - interval '1 hour' FROM generate_series(1, %s)"""

OLDEST = {"since": datetime(1, 1, 2, tzinfo=UTC), "since_id": uuid.UUID(int=0)}
POLLS: dict[str, tuple[Statement, dict[str, Any]]] = {
    "claim": (
        lease.CLAIM,
        {
            "limit": 8,
            **OLDEST,
            "after": 0,
            "owner": "w",
            "seconds": 15.0,
        },
    ),
    "claim_stopped": (lease.CLAIM_STOPPED, {"limit": 20, "owner": "w", "seconds": 15.0}),
    "count_suspected": (lease.COUNT_SUSPECTED, OLDEST),
    "claim_suspected": (
        lease.CLAIM_SUSPECTED,
        {**OLDEST, "alone": "%:alone", "owner": "w", "seconds": 15.0},
    ),
    "next_due": (lease.NEXT_DUE, {}),
    "forgotten": (maintenance.COUNT_FORGOTTEN, {"late": 0.3, "most": 2}),
    "quiet_stops": (halt_certificates.QUIET_STOPS, {"most": 100}),
    "waiting_namespaces": (namespace_queue.WAITING, {"most": 200}),
}


HALTED = {"none halted": 0, "half halted": 5, "all but one halted": 9}
CASES = [*HALTED, "paused", "poison in front"]


def fill(count: int) -> list[str]:
    """Make ``count`` cycles due in ten namespaces, some suspected, and others queued."""
    names = backlog.add_namespaces(10)
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE orbit_cyclerun, governance_stop CASCADE")
        backlog.add_cycles(count, names)
        backlog.add_cycles(count // 5, names[-3:], resumes=ALONE_FROM)
        backlog.add_cycles(count // 5, names, status="queued")
        cursor.execute(RUNNING)
    return names


def play(case: str, names: list[str]) -> None:
    """Stop what ``case`` says, and nothing else."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE governance_governancesetting SET halt = false, mode = 'running'")
        cursor.execute("DELETE FROM governance_stop")
        if case in HALTED:
            backlog.halt(names[: HALTED[case]])
            cursor.execute(HALTS)
        if case == "paused":
            cursor.execute(PAUSE)
        if case == "poison in front":
            backlog.add_cycles(100, names[:3], age=7200, resumes=ALONE_FROM)


@pytest.fixture(scope="module")
def name(server: Server, django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """The name of a database for this module, to whose owner Django is connected."""
    before, name = (
        dict(connections["default"].settings_dict),
        f"orbit_flat_{uuid.uuid4().hex[:8]}",
    )
    database.clone(server, name)
    with django_db_blocker.unblock():
        conftest._point(server, name)
        connections["default"].close()
        connections["default"].settings_dict["USER"] = "orbit_owner"
        try:
            yield name
        finally:
            conftest._point(server, str(before["NAME"]))
            database.drop(server, name)


@pytest.fixture(scope="module")
def worker(server: Server, name: str) -> "Iterator[psycopg.Connection[Any]]":
    """A connection that plans as a worker's does."""
    with psycopg.connect(
        server.url("orbit_app", name), options=BY_INDEX.strip(), autocommit=True
    ) as worker:
        yield worker


@pytest.fixture(scope="module")
def costs(worker: "psycopg.Connection[Any]") -> dict[tuple[str, int, str], int]:
    """The pages that each poll reads, by case and backlog."""
    pages = {}
    for count in (FEW, MANY):
        names = fill(count)
        for case in CASES:
            play(case, names)
            for poll, (statement, values) in POLLS.items():
                pages[case, count, poll] = backlog.pages_read(worker, statement, **values)
    return pages


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("poll", POLLS)
def test_a_poll_reads_no_more_with_a_hundred_times_the_backlog(
    costs: dict[tuple[str, int, str], int], case: str, poll: str
) -> None:
    few, many = costs[case, FEW, poll], costs[case, MANY, poll]
    assert many <= MOST * few + DEEPER, (few, many)


@pytest.mark.usefixtures("costs")
def test_a_claim_reads_no_dead_entries_of_earlier_claims(
    server: Server, name: str, worker: "psycopg.Connection[Any]"
) -> None:
    play("none halted", fill(MANY // 2))
    statement, values = POLLS["claim"]
    fresh = backlog.pages_read(worker, statement, **values)
    cursor = Cursor()
    with psycopg.connect(server.url("orbit_app", name)) as old:
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT 1 FROM orbit_cyclerun LIMIT 1")
        with connection.cursor() as claims:  # as many as a worker would make in a minute
            claims.execute(CLAIMED, [MANY // 4])
        assert len(lease.claim(8, cursor=cursor)) == 8
        since, since_id = cursor.since
        behind = {**values, "since": since, "since_id": since_id}
        assert backlog.pages_read(worker, statement, **behind) <= MOST * fresh
        assert backlog.pages_read(worker, statement, **values) > 3 * fresh  # without a cursor


def test_poison_in_most_namespaces_costs_a_claim_nothing_and_hides_nothing(
    name: str, worker: "psycopg.Connection[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, looked = [], []
    for count in (FEW, 20 * FEW):
        names = backlog.add_namespaces(count)
        play("none halted", names)
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE orbit_cyclerun, governance_stop CASCADE")
            backlog.add_cycles(count - 50, names[:-50], age=7200, resumes=ALONE_FROM)
            backlog.add_cycles(50, names[-50:])
            cursor.execute("ANALYZE orbit_cyclerun, governance_governancesetting")
        statement, values = POLLS["claim"]
        reads.append(backlog.pages_read(worker, statement, **values))
        looks = Mock(wraps=fence.run)
        monkeypatch.setattr(fence, "run", looks)
        assert {cycle.namespace for cycle in lease.claim(8)} < set(names[-50:])
        assert looks.call_count == 1  # the first look finds what may run
        # Poison in 20,000 namespaces that are stopped, but one: each poll reads a part of them.
        backlog.halt(names[: count - 51])
        looked.append(backlog.pages_read(worker, lease.COUNT_SUSPECTED, **OLDEST))
        cursor = SuspectedCursor()
        assert any(lease.is_suspected_due(cursor=cursor) for _ in range(count // 500 + 2))
    assert reads[1] <= MOST * reads[0] + DEEPER, reads
    assert looked[1] <= MOST * looked[0] + DEEPER, looked


def test_the_tasks_of_one_kind_are_found_behind_any_number_of_the_other(
    name: str, worker: "psycopg.Connection[Any]"
) -> None:
    reads = {}
    for kind in (queue.WAKE, queue.QUEUE):
        for count in (FEW, MANY):
            with connection.cursor() as cursor:
                cursor.execute("TRUNCATE django_q_ormq")
                cursor.execute(ENQUEUE, [kind, count])
                cursor.execute("ANALYZE django_q_ormq")
            values = {"seconds": 60.0, "keys": [queue.QUEUE, queue.WAKE], "limit": 1}
            reads[kind, count] = backlog.pages_read(worker, queue.CLAIM, **values)
        assert reads[kind, MANY] <= MOST * reads[kind, FEW], reads
