"""Halts and pauses of real clusters in the middle of deliveries."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from socket import socket as Socket

import pytest

from governance.access.actors import SYSTEM
from governance.models import AuditTrailEntry
from governance.namespaces import halts, pauses, status
from governance.namespaces.status import NamespaceStatus
from orbit.cycles import cancel
from orbit.models import CycleRun, DispatchJob
from orbit_site.processes.postgres import Server
from tests.support import processes
from tests.support.clusters import cluster
from tests.support.pipeline import configure_profiles, rows, start_cycle
from tests.support.polling import until
from tests.support.receiver import OK, Received, Receiver

pytestmark = pytest.mark.processes
ENDPOINTS = [f"e{number:02}" for number in range(20)]
#: A second after the commit of a halt or a pause, nothing is sent any more.
PROMISE = timedelta(seconds=1)


class Sink:
    """A receiver that answers nothing until ``release``, and then everything at once."""

    def __init__(self) -> None:
        self.receiver = Receiver(self._answer)
        self._released = threading.Event()

    def release(self) -> None:
        self._released.set()

    def _answer(self, sock: Socket) -> None:
        self._released.wait(60)
        sock.sendall(OK)

    @property
    def requests(self) -> list[Received]:
        return self.receiver.requests

    def count(self, namespace: str) -> int:
        """Return how many requests of ``namespace`` came."""
        return [request.headers["x-orbit-namespace"] for request in self.requests].count(namespace)

    def keys(self) -> list[str]:
        return [request.headers["idempotency-key"] for request in self.requests]

    def variables(self) -> dict[str, str]:
        # On a busy machine it holds requests for longer than the default time-outs: a second
        # attempt would be right then.
        patience = {"read_timeout": 120, "total_timeout": 120}
        targets = [
            {"key": key, "url": self.receiver.url, "method": "POST", "token": "token", **patience}
            for key in ENDPOINTS
        ]
        return {
            "ORBIT_DISPATCH_ENDPOINTS": json.dumps(targets),
            "ORBIT_DISPATCH_ALLOWED_HOSTS": "127.0.0.1",
            "ORBIT_DISPATCH_BACKOFF_BASE": "0.1",
            "ORBIT_MAX_DISPATCH_RETRIES": "20",
        }


@contextmanager
def held_sink() -> Iterator[Sink]:
    sink = Sink()
    with sink.receiver:
        try:
            yield sink
        finally:
            sink.release()


@contextmanager
def two_clusters(server: Server, name: str, folder: Path, sink: Sink) -> Iterator[None]:
    with ExitStack() as stack:
        running = []
        for part in "xy":
            (folder / part).mkdir()
            running.append(
                stack.enter_context(cluster(server, name, folder / part, **sink.variables()))
            )
        for member in running:
            member.ready()
        yield


def configure(*namespaces: str) -> None:
    """Configure cycles of sixty deliveries in each namespace."""
    configure_profiles(
        **{
            f"r_{name}": {"namespace": name, "distribution_targets": ENDPOINTS}
            for name in namespaces
        }
    )


def start(namespace: str) -> CycleRun:
    return CycleRun.objects.get(pk=start_cycle(f"r-{namespace}"))


def start_cycles(*namespaces: str) -> list[CycleRun]:
    configure(*namespaces)
    return [start(name) for name in namespaces]


def ended(cycle: CycleRun) -> bool:
    cycle.refresh_from_db()
    return cycle.finished_at is not None


def database_time() -> datetime:
    ((moment,),) = rows("SELECT clock_timestamp()")
    return moment


def latest_start(*namespaces: str) -> datetime:
    """Return when the last attempt that was sent began, by the database's clock."""
    ((started_at,),) = rows(
        "SELECT max(r.started_at) FROM orbit_deliveryreceipt r"
        " JOIN orbit_dispatchjob j ON j.id = r.job_id JOIN orbit_cyclerun c ON c.id = j.cycle_id"
        " WHERE c.namespace = ANY(%s) AND r.status <> 'unsent'",
        list(namespaces),
    )
    return started_at


def wait_until_quiet(namespace: str) -> NamespaceStatus:
    def quiet_status() -> NamespaceStatus | None:
        current = status.find(namespace, actor=SYSTEM)
        return current if current.state == "quiet" else None

    current = until(quiet_status, f"{namespace} did not become quiet")
    assert current is not None
    return current


@pytest.mark.slow
def test_within_a_second_of_a_halt_no_delivery_starts_in_that_namespace_and_the_others_go_on(
    server: Server, committed: str, tmp_path: Path
) -> None:
    with held_sink() as sink, two_clusters(server, committed, tmp_path, sink):
        # One after the other: a worker that has both sends the first one's, up to its senders.
        configure("a", "b")
        halted = start("a")
        until(lambda: sink.count("a") >= 5, "nothing was sent")
        other = start("b")
        halts.halt("a", actor=SYSTEM, reason="a flood")
        committed_at = database_time()
        # No request is answered within the second, so a sender that went on would go on later.
        time.sleep(PROMISE.total_seconds())
        sink.release()
        until(lambda: ended(other), "the other namespace did not go on")
        certificate = wait_until_quiet("a").certificate
        count = sink.count("a")
        time.sleep(1)
        assert sink.count("a") == count < 60
        assert latest_start("a") < committed_at + PROMISE
        assert certificate is not None
        assert certificate["last_delivery_started_at"] is not None
        assert certificate["in_flight_count"] >= 1
        assert {attempt["outcome"] for attempt in certificate["in_flight"]} <= {
            "delivered",
            "unsent",
        }
        halted.refresh_from_db()
        assert (halted.status, halted.lease_owner) == ("running", None)
        halts.resume("a", actor=SYSTEM, reason="it is dry")
        until(lambda: ended(halted), "the halted cycle did not end")
        assert halted.status == "success"
        assert len(sink.keys()) == len(set(sink.keys())) == 120
        assert not DispatchJob.objects.exclude(status="delivered").exists()
        actions = AuditTrailEntry.objects.filter(action__startswith="namespace.")
        assert {"namespace.halted", "namespace.resumed"} <= set(
            actions.values_list("action", flat=True)
        )


@pytest.mark.slow
def test_a_pause_stops_every_process_within_a_second_and_ends_by_itself(
    server: Server, committed: str, tmp_path: Path
) -> None:
    namespaces = "abcdef"
    with held_sink() as sink, two_clusters(server, committed, tmp_path, sink):
        cycles = start_cycles(*namespaces)
        until(lambda: len(sink.requests) >= 20, "nothing was sent")
        pauses.pause(actor=SYSTEM, reason="a fire")
        committed_at = database_time()
        time.sleep(PROMISE.total_seconds())
        sink.release()
        until(lambda: pauses.read().quiet, "it did not become quiet")
        count = len(sink.requests)
        time.sleep(1)
        assert len(sink.requests) == count < 360
        assert latest_start(*namespaces) < committed_at + PROMISE
        # Give the pause an end that passes.
        rows(
            "UPDATE governance_stop SET until = clock_timestamp() + interval '1 second'"
            " WHERE ended_at IS NULL RETURNING 1"
        )
        until(lambda: len(sink.requests) > count, "work did not go on by itself")
        until(lambda: all(ended(cycle) for cycle in cycles), "the cycles did not end")
        assert {cycle.status for cycle in cycles} == {"success"}
        assert len(sink.keys()) == len(set(sink.keys())) == 360
        assert AuditTrailEntry.objects.get(action="pause.lifted").actor == "orbit"


@pytest.mark.slow
def test_a_worker_that_dies_under_a_halt_leaves_nothing_open_and_the_halt_becomes_quiet(
    server: Server, committed: str, tmp_path: Path
) -> None:
    with (
        held_sink() as sink,
        cluster(
            server,
            committed,
            tmp_path,
            **sink.variables(),
            ORBIT_WORKERS="1",
            ORBIT_LEASE_SECONDS="2",
        ) as running,
    ):
        [worker] = running.ready(workers=1).of("worker")
        (cycle,) = start_cycles("a")
        until(lambda: len(sink.requests) >= 10, "nothing was sent")
        halts.halt("a", actor=SYSTEM, reason="a flood")
        time.sleep(1.5)
        assert status.find("a", actor=SYSTEM).state == "halting"
        processes.kill(worker)
        certificate = wait_until_quiet("a").certificate
        assert certificate is not None
        assert "unknown" in {attempt["outcome"] for attempt in certificate["in_flight"]}
        assert rows("SELECT count(*) FROM orbit_deliveryreceipt WHERE status = 'sending'") == [(0,)]
        assert not ended(cycle)
        # A halted cycle can be cancelled too.
        cancel.cancel(cycle.pk, actor=SYSTEM, reason="enough")
        assert not DispatchJob.objects.filter(status="pending").exists()
