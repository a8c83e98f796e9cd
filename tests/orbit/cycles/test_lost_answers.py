"""The answer of a write is lost: each write of the pipeline, in each of three ways.

A proxy stands between the worker and PostgreSQL. A cycle goes its way undisturbed; then another
one goes the same way, and the same is there in the end.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection, connections

from orbit.cycles import advance, finish, lease, stages
from orbit.dispatch import claim, receipts
from orbit.pipeline import initiation, transformations
from orbit.records import execution
from orbit_site.processes.postgres import Server
from tests.support import dispatch
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_cycle,
    start_cycle,
)
from tests.support.polling import until
from tests.support.postgres_proxy import (
    Fault,
    PostgresProxy,
    Session,
    commit_of,
    lose_answer,
    lose_request,
)
from tests.support.receiver import OK, Answer, Receiver, http

WAITERS = """SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'"""


@pytest.fixture
def proxy(committed: str, server: Server) -> Iterator[PostgresProxy]:
    """The proxy through which this process now connects."""
    with PostgresProxy(server.host) as proxy:
        connection.close()
        for options in (connections["default"].settings_dict, connections.settings["default"]):
            options["HOST"] = proxy.host
        yield proxy
        connection.close()


@pytest.fixture
def cut_while_waiting(committed: str, server: Server) -> Fault:
    """The client is cut off while its write waits for a lock; later the write goes on."""

    def fault(session: Session) -> None:
        with (
            psycopg.connect(server.url("orbit_app", committed)) as locker,
            psycopg.connect(server.url("orbit_app", committed), autocommit=True) as watcher,
        ):
            locker.execute("SELECT 1 FROM orbit_cyclerun FOR NO KEY UPDATE")
            session.mute()
            session.forward()
            until(lambda: (session.pid,) in watcher.execute(WAITERS), "the write does not wait")
            session.cut()
            until(lambda: len(watcher.execute(WAITERS).fetchall()) == 2, "nothing waits behind it")

    return fault


@dataclass(frozen=True)
class Way:
    """A way of a cycle through the pipeline."""

    #: Answers to its deliveries; the last one repeats.
    answers: tuple[Answer, ...] = (OK,)
    #: Members of its endpoint.
    endpoint: dict[str, Any] = field(default_factory=dict)
    #: Its tiers ask an outside service.
    asks: bool = False
    #: A worker has died before.
    resumed: bool = False
    settings: dict[str, Any] = field(default_factory=dict)


QUICK = Way()
BY_STAGES = Way(asks=True)
RETRIED = Way((http("500 No"), OK))
GIVEN_BACK = Way((http("500 No"), OK), settings={"ORBIT_DISPATCH_BACKOFF_BASE": 1.5})
LIMITED = Way(endpoint={"max_concurrency": 2})
RESUMED = Way(resumed=True)
HELD = Way(endpoint={"on_unknown": "hold"})

STATEMENTS: dict[str, tuple[Way, Any]] = {
    "all stages": (QUICK, stages.START_AND_PREPARE),
    "the initiation": (BY_STAGES, initiation.INITIATE),
    "a tier": (BY_STAGES, transformations.SAVE),
    "the deliveries": (BY_STAGES, finish.PREPARE_DELIVERIES),
    "the start of attempts": (QUICK, claim.CLAIM),
    "the start of attempts that are held if unknown": (HELD, claim.CLAIM),
    "the lock before limited attempts": (LIMITED, claim.LOCK_CYCLE),
    "results": (RETRIED, receipts.SAVE_RESULTS),
    "the last results and the end": (QUICK, finish.CLOSE_DELIVERIES),
    "the lease given back": (GIVEN_BACK, lease.GIVE_BACK),
    "the count of resumes": (RESUMED, advance.COUNT_RESUME),
    "attempts of a lost worker": (RESUMED, finish.CLOSE_DELIVERIES),
}
COMMITS: dict[str, tuple[Way, Any]] = {
    "the start of limited attempts": (LIMITED, commit_of(claim.CLAIM_LIMITED)),
    "results with failures": (RETRIED, commit_of(receipts.SAVE_RESULTS)),
    "the record of a resume": (RESUMED, execution.WRITE),
    "the claim of the cycle": (QUICK, lease.CLAIM),
}


def go(settings: Any, way: Way, run_profile: str, cut: Any = None) -> tuple[UUID, list[str]]:
    """Run a cycle on its way; return its id and the keys that the receiver got."""
    with Receiver(*way.answers) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        entry = {**json.loads(settings.ORBIT_DISPATCH_ENDPOINTS)[0], **way.endpoint}
        settings.ORBIT_DISPATCH_ENDPOINTS = json.dumps([entry])
        for name, value in way.settings.items():
            setattr(settings, name, value)
        cycle_id = start_cycle(run_profile)
        if way.resumed:
            lose_worker(cycle_id)
        if cut:
            cut()
        cycle = run_cycle(cycle_id)
        assert cycle.status == "success", cycle.reason
        return cycle_id, [request.headers["idempotency-key"] for request in receiver.requests]


def lose_worker(cycle_id: UUID) -> None:
    """Let a worker begin the deliveries and die."""
    (claimed_cycle,) = lease.claim(1)
    dispatch.forget_caches()
    dispatch.enqueue_deliveries(claimed_cycle)
    dispatch.claim_jobs(claimed_cycle)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orbit_cyclerun SET lease_expires_at = now(), next_due_at = now() WHERE id = %s",
            [cycle_id],
        )


def what_is_there(cycle_id: UUID) -> dict[str, Any]:
    """Return what a cycle has left in the database, without ids and times."""
    queries = {
        "records": "SELECT stage, event FROM orbit_executionrecord WHERE cycle_id = %s",
        "events": "SELECT stage, name FROM telemetry_telemetryevent WHERE run_id = %s",
        "value": "SELECT kind, tag, unit, quantity FROM orbit_valueledgerentry WHERE cycle_id = %s",
        "checkpoints": "SELECT stage FROM orbit_cyclecheckpoint WHERE cycle_id = %s",
        "tiers": "SELECT tier, status, attempts FROM orbit_transformation WHERE cycle_id = %s",
        "jobs": "SELECT status, attempts, spent FROM orbit_dispatchjob WHERE cycle_id = %s",
        "receipts": "SELECT r.attempt, r.status FROM orbit_deliveryreceipt r"
        " JOIN orbit_dispatchjob j ON j.id = r.job_id WHERE j.cycle_id = %s",
        "audit": "SELECT action FROM governance_audittrailentry"
        " WHERE object_id = %s::text AND action LIKE 'dispatch%%'",
        "cycle": "SELECT status, reason, resumes, lease_owner, next_due_at FROM orbit_cyclerun"
        " WHERE id = %s",
    }
    return {name: Counter(rows(query, cycle_id)) for name, query in queries.items()}


def check(settings: Any, proxy: PostgresProxy, way: Way, request: Any, fault: Fault) -> None:
    with ExitStack() as stack:
        tiers = {}
        if way.asks:
            url = stack.enter_context(Receiver(http("200 OK", b"{}"))).url
            tiers = {
                tier: {"transformer": "http", "options": {"url": url}, "timeout": 10}
                for tier in "123"
            }
        configure_profiles(tiers, r1={"namespace": "a"}, r2={"namespace": "b"})
        undisturbed, _ = go(settings, way, "r1")
        cuts = []
        disturbed, keys = go(settings, way, "r2", lambda: cuts.append(proxy.on(request, fault)))
    assert [rule.done for rule in cuts] == [1]
    assert what_is_there(disturbed) == what_is_there(undisturbed)
    failures = len(way.answers) - 1
    assert len(set(keys)) == 3
    assert len(keys) == 3 + failures


@pytest.mark.parametrize("write", STATEMENTS)
def test_a_client_that_is_cut_off_while_its_write_waits_finds_what_it_did(
    settings, proxy: PostgresProxy, cut_while_waiting: Fault, write: str
) -> None:
    way, request = STATEMENTS[write]
    check(settings, proxy, way, request, cut_while_waiting)


@pytest.mark.parametrize("write", [*STATEMENTS, *(f"COMMIT: {write}" for write in COMMITS)])
@pytest.mark.parametrize("fault", [lose_answer, lose_request])
def test_a_write_whose_answer_is_lost_is_done_once(
    settings, proxy: PostgresProxy, write: str, fault: Fault
) -> None:
    way, request = {**STATEMENTS, **{f"COMMIT: {name}": at for name, at in COMMITS.items()}}[write]
    check(settings, proxy, way, request, fault)
