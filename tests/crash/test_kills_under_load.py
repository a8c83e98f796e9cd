"""SIGKILL at random under load: nothing is lost, and nothing is delivered twice."""

import hashlib
import random
import signal
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from orbit.models import CycleRun
from orbit_site.processes.postgres import Server
from tests.support import processes
from tests.support.clusters import Cluster, cluster, endpoint
from tests.support.pipeline import configure_profiles, rows, start_cycle
from tests.support.polling import until
from tests.support.receiver import OK, Receiver

pytestmark = pytest.mark.processes
CYCLES, KILLS = 60, 12


def slow_now_and_then(sock: socket.socket) -> None:
    """Answer late sometimes, so that a kill finds requests on the wire."""
    time.sleep(random.choice([0, 0, 0.01, 0.2]))
    sock.sendall(OK)


def victim(running: Cluster, randomness: random.Random) -> int | None:
    """Choose a process to kill: mostly a worker, sometimes maintenance."""
    children = running.children()
    return randomness.choice(children) if children else None


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_random_kills_leave_every_cycle_ended_and_each_delivery_made_once(
    server: Server, committed: str, tmp_path: Path
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    randomness = random.Random(seed)
    names = [f"r{n}" for n in range(CYCLES)]
    configure_profiles(**{name: {"namespace": f"n-{name}"} for name in names})
    folders = [tmp_path / letter for letter in "abc"]
    for folder in folders:
        folder.mkdir()
    variables = {"ORBIT_LEASE_SECONDS": "2", "ORBIT_MAX_DISPATCH_RETRIES": "20"}
    with (
        Receiver(slow_now_and_then) as sink,
        cluster(server, committed, folders[0], **variables, **endpoint(sink.url)) as first,
        cluster(server, committed, folders[1], **variables, **endpoint(sink.url)) as second,
    ):
        bodies = {name: f'{{"n":"{name}"}}'.encode() for name in names}
        cycles = []
        for number, name in enumerate(names):
            cycles.append(start_cycle(name, bodies[name]))
            if number % (CYCLES // KILLS) == 0:
                pid = victim(first if number % 2 else second, randomness)
                if pid is not None:
                    processes.kill(pid)
                time.sleep(randomness.random() * 0.2)
        # Kill a whole cluster too: its children end when their supervisor dies.
        first.stop(signal.SIGKILL)
        with cluster(server, committed, folders[2], **variables, **endpoint(sink.url)):
            until(
                lambda: not CycleRun.objects.filter(next_due_at__isnull=False).exists(),
                "some cycles did not end",
                seconds=120,
            )
    check_deliveries(sink, bodies)
    check_receipts(sink)
    check_stages()


def count_by_key(sink: Receiver) -> Counter[str]:
    return Counter(request.headers["idempotency-key"] for request in sink.requests)


def check_deliveries(sink: Receiver, bodies: dict[str, bytes]) -> None:
    """Compare the jobs with what the receiver got: every job, with the stored bytes."""
    assert dict(rows("SELECT status, count(*) FROM orbit_cyclerun GROUP BY 1")) == {
        "success": CYCLES
    }
    assert dict(rows("SELECT status, count(*) FROM orbit_dispatchjob GROUP BY 1")) == {
        "delivered": CYCLES * 3
    }
    stored = dict(
        rows(
            "SELECT j.delivery_id::text, i.sha256 FROM orbit_dispatchjob j"
            " JOIN orbit_normalizationitem i ON i.id = j.normalization_item_id"
        )
    )
    assert set(count_by_key(sink)) == set(stored)
    assert all(
        stored[request.headers["idempotency-key"]] == hashlib.sha256(request.body).hexdigest()
        for request in sink.requests
    )
    assert Counter(request.body for request in sink.requests).keys() == set(bodies.values())


def check_receipts(sink: Receiver) -> None:
    """Each delivery succeeded once, and was repeated only after an attempt of unknown result."""
    receipts = rows(
        "SELECT j.delivery_id::text, r.status FROM orbit_deliveryreceipt r"
        " JOIN orbit_dispatchjob j ON j.id = r.job_id"
    )
    counts = count_by_key(sink)
    assert Counter(key for key, status in receipts if status == "delivered") == dict.fromkeys(
        counts, 1
    )
    unknown = Counter(key for key, status in receipts if status == "unknown")
    assert all(count <= 1 + unknown[key] for key, count in counts.items())
    assert {status for _, status in receipts} <= {"delivered", "unknown"}


def check_stages() -> None:
    """Each cycle has all checkpoints, and its results once."""
    assert rows("SELECT cycle_id FROM orbit_cyclecheckpoint GROUP BY 1 HAVING count(*) <> 9") == []
    assert (
        rows("SELECT count(*) FROM orbit_transformation")
        == rows("SELECT count(*) FROM orbit_normalizationitem")
        == [(CYCLES * 3,)]
    )


def test_a_drain_lets_a_quick_cycle_end_and_gives_a_slow_one_back(
    server: Server, committed: str, tmp_path: Path
) -> None:
    configure_profiles(quick={"namespace": "quick"}, slow={"namespace": "slow"})
    folders = [tmp_path / letter for letter in "ab"]
    for folder in folders:
        folder.mkdir()

    draining, drained = threading.Event(), threading.Event()

    def answer(sock: socket.socket) -> None:
        (draining if len(sink.requests) <= 3 else drained).wait(60)
        sock.sendall(OK)

    variables = {"ORBIT_LEASE_SECONDS": "60", "ORBIT_DRAIN_SECONDS": "4"}
    with (
        Receiver(answer) as sink,
        cluster(server, committed, folders[0], **variables, **endpoint(sink.url)) as first,
    ):
        first.ready()
        quick = start_cycle("quick")
        until(lambda: len(sink.requests) == 3, "the quick cycle was not sent")
        slow = start_cycle("slow")
        until(lambda: len(sink.requests) == 6, "the slow cycle was not sent")
        first.stop()
        draining.set()
        assert first.code() == 0  # it did not wait for the answer to the slow cycle
        drained.set()
        assert CycleRun.objects.get(pk=quick).status == "success"
        # The lease was given back: another cluster need not wait for its end.
        with cluster(server, committed, folders[1], **variables, **endpoint(sink.url)) as second:
            second.ready()
            until(
                lambda: CycleRun.objects.get(pk=slow).status == "success",
                "the slow cycle did not go on",
            )
    assert len({request.headers["idempotency-key"] for request in sink.requests}) == 6
