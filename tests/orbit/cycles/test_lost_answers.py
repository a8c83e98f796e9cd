"""The answer of a write is lost: each write of the pipeline, in each of four ways.

A proxy stands between the worker and PostgreSQL. A cycle goes its way undisturbed. Then one cycle
for each write goes the same way, and the same is there in the end.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import OperationalError, connection, transaction

from governance.kernel.sql import Statement
from orbit.cycles import advance, finish, lease, namespace_queue, stages
from orbit.dispatch import attempt, claim, enqueue, receipts
from orbit.dispatch import state as dispatch_state
from orbit.dispatch.senders import SenderPool
from orbit.models import CycleRun
from orbit.outbound.client import Response
from orbit.pipeline import initiation, registry, transformations
from orbit.pipeline.contract import Context, Payload, Transformer, TransformError
from orbit.records import execution, writer
from orbit_site.processes.postgres import Server
from tests.orbit.cycles.test_namespace_queue import fail, start_three_cycles
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
    Rule,
    Session,
    commit_of,
    lose_answer,
    lose_request,
    pattern_of,
)
from tests.support.receiver import OK, Answer, Receiver, http, then

WAITERS = """SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'"""
TOKENS = "SELECT sum(fencing_token) FROM orbit_cyclerun"


@pytest.fixture
def arrive_late(committed: str, server: Server) -> Fault:
    """The client is cut off before the server reads the write, which then finds a new token."""

    def fault(session: Session) -> None:
        with psycopg.connect(server.url("orbit_app", committed), autocommit=True) as watcher:
            before = watcher.execute(TOKENS).fetchall()
            session.cut()
            until(lambda: watcher.execute(TOKENS).fetchall() != before, "no new token was taken")
            session.forward()
            session.answered.wait(60)

    return fault


@pytest.fixture
def cut_while_waiting(committed: str, server: Server, monkeypatch: pytest.MonkeyPatch) -> Fault:
    """The client is cut off while its write waits for a lock; later the write goes on."""
    # Else the server gives the write up before the lock is free.
    monkeypatch.setattr(writer, "LOCK_TIMEOUT", "60s")

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
    """A way of a cycle through the pipeline, and the writes on it."""

    #: Statements that commit by themselves, each with how many to let pass.
    statements: tuple[tuple[Statement, int], ...]
    #: Regular expressions of COMMITs and of others that no lock holds up.
    others: tuple[tuple[str, int], ...] = ()
    #: Answers to its deliveries; the last one repeats.
    answers: tuple[Answer, ...] = (OK,)
    #: Members of its endpoint.
    endpoint: dict[str, Any] = field(default_factory=dict)
    #: What its tiers do.
    transformer: str = "passthrough"
    #: A sender is free for so many jobs in the write that enqueues them.
    free: int = 16
    #: A worker has died before.
    resumed: bool = False
    #: Seconds before the first retry.
    backoff: float = 0.05
    requests: int = 3
    status: str = "success"


WAYS = {
    "quick": Way(
        (
            (stages.START_AND_PREPARE, 0),
            (finish.CLOSE_DELIVERIES, 0),
        ),
        ((pattern_of(lease.CLAIM), 0),),
    ),
    "no sender is free": Way(
        (
            (stages.START_AND_PREPARE, 0),
            (claim.CLAIM, 0),
            (finish.CLOSE_DELIVERIES, 0),
        ),
        free=0,
    ),
    "one sender is free": Way(
        (
            (stages.START_AND_PREPARE, 0),
            (claim.CLAIM, 0),
        ),
        free=1,
    ),
    "asking tiers": Way(
        (
            (initiation.INITIATE, 0),
            (transformations.SAVE, 0),
            (transformations.SAVE, 2),
            (finish.PREPARE_DELIVERIES, 0),
        ),
        transformer="http",
    ),
    "a tier again": Way(((stages.START_TIERS, 0), (lease.GIVE_BACK, 0)), transformer="flaky"),
    "a delivery again": Way(
        ((receipts.SAVE_RESULTS, 0), (claim.CLAIM, 0)),
        ((commit_of(receipts.SAVE_RESULTS), 0),),
        answers=(http("500 No"), OK),
        requests=4,
    ),
    "given back": Way(
        ((lease.GIVE_BACK, 0),), answers=(http("500 No"), OK), backoff=1.5, requests=4
    ),
    "limited": Way(
        ((claim.LOCK_CYCLE, 0),),
        (
            (commit_of(claim.CLAIM_LIMITED), 0),
            (commit_of(claim.CLAIM_LIMITED), 1),
            (pattern_of(dispatch_state.READ_SNAPSHOT), 0),
        ),
        answers=(then(lambda _: time.sleep(0.3), OK), OK),
        endpoint={"max_concurrency": 2},
    ),
    "held if unknown": Way(
        ((stages.START_AND_PREPARE, 0),),
        endpoint={"on_unknown": "hold"},
    ),
    "claimed and held if unknown": Way(
        ((claim.CLAIM, 0),),
        # After the claim has committed, and before a request leaves.
        ((pattern_of(dispatch_state.READ_SNAPSHOT), 0),),
        endpoint={"on_unknown": "hold"},
        free=0,
    ),
    "resumed": Way(
        ((advance.COUNT_RESUME, 0), (receipts.SAVE_RESULTS, 0)),
        ((pattern_of(execution.WRITE), 0), (commit_of(receipts.SAVE_RESULTS), 0)),
        resumed=True,
    ),
    "given up": Way(
        ((finish.GIVE_UP, 0),),
        ((commit_of(finish.GIVE_UP), 0),),
        requests=0,
        status="failed",
    ),
}


@pytest.fixture(autouse=True)
def transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offer one that fails once for each tier."""

    def run(body: Payload, context: Context) -> Payload:
        if not rows("SELECT 1 FROM orbit_transformation WHERE id = %s", context.transformation_id):
            raise TransformError("not yet")
        return body

    find, flaky = registry.transformer, Transformer("flaky", {}, run, slow=False)
    monkeypatch.setattr(
        registry, "transformer", lambda name: flaky if name == "flaky" else find(name)
    )


@pytest.fixture
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Way:
    way = WAYS[request.param]
    take_free = SenderPool.take_free
    monkeypatch.setattr(
        SenderPool, "take_free", lambda pool, most: take_free(pool, min(most, way.free))
    )
    if way.status == "failed":

        def fail(*_: Any, **__: Any) -> None:
            raise RuntimeError("a fault of ours")

        monkeypatch.setattr(enqueue, "add_to", fail)
    return way


def run_on(settings: Any, way: Way, run_profile: str, rule: Callable[[], Rule] | None) -> CycleRun:
    """Run a cycle on its way, with the fault of ``rule``."""
    with Receiver(*way.answers) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        entry = {**json.loads(settings.ORBIT_DISPATCH_ENDPOINTS)[0], **way.endpoint}
        settings.ORBIT_DISPATCH_ENDPOINTS = json.dumps([entry])
        settings.ORBIT_DISPATCH_BACKOFF_BASE = way.backoff
        cycle_id = start_cycle(run_profile)
        if way.resumed:
            lose_worker(cycle_id)
        added = rule() if rule else None
        cycle = run_cycle(cycle_id)
        if added:
            assert added.done == 1, "the write was not made"
            until(lambda: added.ended, "the fault did not end")
        keys = [request.headers["idempotency-key"] for request in receiver.requests]
    assert cycle.status == way.status, cycle.reason
    assert len(keys) == way.requests
    assert len(set(keys)) == min(3, way.requests)
    return cycle


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


def what_is_there(cycle: CycleRun) -> dict[str, Any]:
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
    return {name: Counter(rows(query, cycle.pk)) for name, query in queries.items()}


def check(
    settings: Any,
    proxy: PostgresProxy,
    way: Way,
    writes: Sequence[tuple[Statement | str, int]],
    fault: Fault,
) -> None:
    with Receiver(http("200 OK", b"{}")) as service:
        tier: dict[str, Any] = {"transformer": way.transformer}
        if way.transformer == "http":
            tier |= {"options": {"url": service.url}, "timeout": 10}
        elif way.transformer == "flaky":
            tier |= {"max_attempts": 2, "backoff_base": 0.1}
        run_profiles = {f"r{n}": {"namespace": f"n{n}"} for n in range(len(writes) + 1)}
        configure_profiles(dict.fromkeys("123", tier), **run_profiles)
        undisturbed = what_is_there(run_on(settings, way, "r0", None))
        for number, (write, skip) in enumerate(writes, start=1):
            cycle = run_on(settings, way, f"r{number}", partial(proxy.on, write, fault, skip=skip))
            assert what_is_there(cycle) == undisturbed, write


@pytest.mark.parametrize("way", WAYS, indirect=True)
@pytest.mark.parametrize("how", ["cut_while_waiting", "arrive_late"])
def test_a_worker_that_is_cut_off_from_its_write_finds_what_it_did(
    settings, proxy: PostgresProxy, request: pytest.FixtureRequest, way: Way, how: str
) -> None:
    check(settings, proxy, way, way.statements, request.getfixturevalue(how))


@pytest.mark.parametrize("way", WAYS, indirect=True)
@pytest.mark.parametrize("fault", [lose_answer, lose_request])
def test_a_write_without_an_answer_is_done_once(
    settings, proxy: PostgresProxy, way: Way, fault: Fault
) -> None:
    check(settings, proxy, way, [*way.statements, *way.others], fault)


@pytest.mark.parametrize("fault", [lose_answer, lose_request])
def test_the_next_queued_cycle_starts_once(settings, proxy: PostgresProxy, fault: Fault) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        cycle_ids = start_three_cycles()
        proxy.on(finish.CLOSE_DELIVERIES, fault)
        assert [run_cycle(cycle_id).status for cycle_id in cycle_ids] == ["success"] * 3
        assert len(receiver.requests) == 9


@pytest.mark.parametrize("fault", [lose_answer, lose_request])
def test_a_queued_cycle_is_promoted_once(proxy: PostgresProxy, fault: Fault) -> None:
    first, *_ = start_three_cycles()
    fail(first)
    proxy.on(commit_of(namespace_queue.PROMOTE_IN_ALL), fault)
    with pytest.raises(OperationalError):
        namespace_queue.promote_waiting()
    connection.close()
    namespace_queue.promote_waiting()
    assert sorted(CycleRun.objects.values_list("status", flat=True)) == [
        "failed",
        "pending",
        "queued",
    ]


def test_a_lease_is_renewed_beside_one_that_a_write_locks(committed: str, server: Server) -> None:
    configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
    locked = start_cycle("r1")
    start_cycle("r2")
    held = lease.claim(2)
    with psycopg.connect(server.url("orbit_app", committed)) as locker:
        locker.execute("SELECT 1 FROM orbit_cyclerun WHERE id = %s FOR UPDATE", [locked])
        assert lease.renew(held) == {cycle.id for cycle in held} - {locked}
    assert lease.renew(held) == {cycle.id for cycle in held}


@pytest.mark.parametrize("fault", [lose_answer, lose_request])
def test_a_late_success_is_on_record_once(settings, proxy: PostgresProxy, fault: Fault) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        (cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(cycle)
        job, *_ = dispatch.claim_jobs(cycle)
    answer = Response(200, None, "", b"ok", None, 1.0, True, b"ok")
    proxy.on(commit_of(receipts.DELIVER_LATE), fault)
    cut = proxy.on(execution.WRITE, fault)
    receipts.save_late_successes(cycle, [attempt.resolve(job, answer)])
    assert cut.done == 1
    events = "SELECT event FROM orbit_executionrecord WHERE cycle_id = %s"
    counted = Counter(rows(events, cycle_id))
    assert (counted["delivered_late",], counted["fenced",]) == (1, 1)


def test_a_write_that_meets_its_own_rows_is_read_again_and_the_cycle_goes_on(
    settings, committed: str, server: Server
) -> None:
    with (
        Receiver(OK) as receiver,
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(server.url("orbit_app", committed), autocommit=True) as watcher,
    ):
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        (cycle,) = lease.claim(1)
        twin = replace(cycle)

        def run() -> None:
            advance.run(cycle, dispatch=dispatch.state(), worker="w")
            connection.close()

        with transaction.atomic():
            # As if another write with the same token were under way.
            initiation.run(twin)
            running = pool.submit(run)
            until(lambda: watcher.execute(WAITERS).fetchone(), "the write does not wait")
        running.result(60)
    assert CycleRun.objects.get(pk=cycle_id).status == "success"
    assert cycle.token > twin.token
    assert len(receiver.requests) == 3
