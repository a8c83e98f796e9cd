"""Halts and pauses of real clusters in the middle of a stream of deliveries, and what is in flight when a worker dies under one."""

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from socket import socket as Socket
from typing import Any

import pytest

from governance.access.actors import SYSTEM
from governance.models import AuditTrailEntry
from governance.namespaces import halts, pauses, status
from orbit.cycles import cancel
from orbit.models import CycleRun, DispatchJob
from orbit_site.processes.postgres import Server
from tests.support.clusters import Cluster, cluster
from tests.support.pipeline import configure_profiles, rows, start_cycle
from tests.support.polling import until
from tests.support.receiver import OK, Receiver

pytestmark = pytest.mark.processes
ENDPOINTS = 20
#: Sent within a second of the commit of a halt, or not at all.
PROMISE = 1.0


class Journal:
    """A receiver that takes 0.1 s for each request and notes when it came, and of which namespace."""

    def __init__(self, seconds: float = 0.1) -> None:
        self.came: list[float] = []
        self._seconds = seconds
        self.receiver = Receiver(self._answer)

    def _answer(self, sock: Socket) -> None:
        self.came.append(time.monotonic())
        time.sleep(self._seconds)
        sock.sendall(OK)

    def of(self, namespace: str) -> list[float]:
        return [
            at
            for at, request in zip(self.came, self.receiver.requests, strict=False)
            if request.headers["x-orbit-namespace"] == namespace
        ]

    def keys(self) -> list[str]:
        return [request.headers["idempotency-key"] for request in self.receiver.requests]

    def variables(self) -> dict[str, str]:
        targets = [
            {"key": f"e{n:02}", "url": self.receiver.url, "method": "POST", "token": "token"}
            for n in range(ENDPOINTS)
        ]
        return {
            "ORBIT_DISPATCH_ENDPOINTS": json.dumps(targets),
            "ORBIT_DISPATCH_ALLOWED_HOSTS": "127.0.0.1",
            "ORBIT_DISPATCH_BACKOFF_BASE": "0.1",
            "ORBIT_MAX_DISPATCH_RETRIES": "20",
        }


def streams(*namespaces: str) -> list[CycleRun]:
    """Start a cycle of sixty deliveries in each namespace."""
    targets = [f"e{n:02}" for n in range(ENDPOINTS)]
    configure_profiles(
        **{f"r_{name}": {"namespace": name, "distribution_targets": targets} for name in namespaces}
    )
    return [CycleRun.objects.get(pk=start_cycle(f"r-{name}")) for name in namespaces]


def ended(cycle: CycleRun) -> bool:
    cycle.refresh_from_db()
    return cycle.finished_at is not None


def after(act: Callable[[], Any]) -> float:
    """Do ``act``; return the moment when its commit was acknowledged."""
    act()
    return time.monotonic()


def both(
    stack: ExitStack, server: Server, name: str, folder: Path, journal: Journal, **variables: str
) -> list[Cluster]:
    found = []
    for part in "xy":
        (folder / part).mkdir()
        found.append(
            stack.enter_context(
                cluster(server, name, folder / part, **journal.variables(), **variables)
            )
        )
    return [running.ready() for running in found]


@pytest.mark.slow
def test_within_a_second_of_a_halt_no_delivery_starts_in_that_namespace_and_the_others_go_on(
    server: Server, committed: str, tmp_path: Path
) -> None:
    journal = Journal()
    with journal.receiver, ExitStack() as stack:
        both(stack, server, committed, tmp_path, journal)
        halted, other = streams("a", "b")
        until(lambda: len(journal.of("a")) >= 5, "nothing is sent")
        commit = after(lambda: halts.halt("a", actor=SYSTEM, reason="a flood"))
        until(lambda: ended(other), "the other namespace doesn't go on")
        found = until(
            lambda: (stands := status.find("a", actor=SYSTEM)).state == "quiet" and stands,
            "it isn't quiet",
        )
        time.sleep(1)
        late = [at - commit for at in journal.of("a") if at > commit]
        assert max(late, default=0.0) < PROMISE, late
        sent = len(journal.of("a"))
        assert sent < 60
        assert (halted.refresh_from_db(), halted.status, halted.lease_owner) == (
            None,
            "running",
            None,
        )  # type: ignore[func-returns-value]
        assert found.certificate is not None
        assert found.certificate["last_delivery_started_at"] is not None
        assert found.certificate["in_flight_count"] >= 1
        assert {one["outcome"] for one in found.certificate["in_flight"]} <= {"delivered", "unsent"}
        began = time.monotonic()
        halts.resume("a", actor=SYSTEM, reason="it is dry")
        until(lambda: len(journal.of("a")) > sent, "it doesn't go on")
        assert time.monotonic() - began < 2
        until(lambda: ended(halted), "the halted cycle doesn't end")
        assert halted.status == "success"
        assert len(journal.keys()) == len(set(journal.keys())) == 120
        assert not DispatchJob.objects.exclude(status="delivered").exists()
        assert (
            AuditTrailEntry.objects.filter(action="namespace.halted").count()
            == AuditTrailEntry.objects.filter(action="namespace.resumed").count()
            == 1
        )


@pytest.mark.slow
def test_a_pause_stops_every_process_within_a_second_and_its_time_lifts_it(
    server: Server, committed: str, tmp_path: Path
) -> None:
    journal = Journal()
    with journal.receiver, ExitStack() as stack:
        both(stack, server, committed, tmp_path, journal)
        cycles = streams(*"abcdef")
        until(lambda: len(journal.came) >= 20, "nothing is sent")
        commit = after(lambda: pauses.pause(actor=SYSTEM, reason="a fire"))
        until(lambda: pauses.read().quiet, "it isn't quiet")
        time.sleep(1)
        late = [at - commit for at in journal.came if at > commit]
        assert max(late, default=0.0) < PROMISE, late
        sent = len(journal.came)
        assert sent < 360
        # It gets an end, which passes.
        rows(
            "UPDATE governance_stop SET until = clock_timestamp() + interval '1 second' WHERE ended_at IS NULL RETURNING 1"
        )
        until(lambda: len(journal.came) > sent, "it doesn't go on by itself")
        until(lambda: all(ended(cycle) for cycle in cycles), "the cycles don't end")
        assert {cycle.status for cycle in cycles} == {"success"}
        assert len(journal.keys()) == len(set(journal.keys())) == 360
        assert AuditTrailEntry.objects.get(action="pause.lifted").actor == "orbit"


@pytest.mark.slow
def test_a_worker_that_dies_under_a_halt_leaves_nothing_open_and_the_halt_becomes_quiet(
    server: Server, committed: str, tmp_path: Path
) -> None:
    journal = Journal(seconds=20)
    variables = {"ORBIT_WORKERS": "1", "ORBIT_LEASE_SECONDS": "2"}
    with (
        journal.receiver,
        cluster(server, committed, tmp_path, **journal.variables(), **variables) as running,
    ):
        [worker] = running.ready(workers=1).of("worker")
        (cycle,) = streams("a")
        until(lambda: len(journal.came) >= 10, "nothing is sent")
        halts.halt("a", actor=SYSTEM, reason="a flood")
        time.sleep(1.5)
        assert status.find("a", actor=SYSTEM).state == "halting"
        os.kill(worker, signal.SIGKILL)
        found = until(
            lambda: (stands := status.find("a", actor=SYSTEM)).state == "quiet" and stands,
            "it isn't quiet",
        )
        assert found.certificate is not None
        assert "unknown" in {one["outcome"] for one in found.certificate["in_flight"]}
        assert rows("SELECT count(*) FROM orbit_deliveryreceipt WHERE status = 'sending'") == [(0,)]
        assert not ended(cycle)
        # On a halted cycle too.
        cancel.cancel(cycle.pk, actor=SYSTEM, reason="enough")
        assert not DispatchJob.objects.filter(status="pending").exists()
