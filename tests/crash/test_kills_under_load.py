"""SIGKILL at random, under load: nothing is lost, nothing is doubled at a receiver that honours the key."""

import hashlib
import os
import random
import signal
import socket
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from orbit.models import CycleRun
from orbit_site.processes.postgres import Server
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


def victim(running: Cluster, chance: random.Random) -> int | None:
    """Return a process of the cluster to kill: mostly a worker, sometimes maintenance."""
    children = running.children()
    return chance.choice(children) if children else None


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_whoever_is_killed_every_cycle_ends_and_each_delivery_succeeds_once(
    server: Server, committed: str, tmp_path: Path
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    names = [f"r{n}" for n in range(CYCLES)]
    configure_profiles(**{name: {"namespace": f"n-{name}"} for name in names})
    folders = [tmp_path / letter for letter in "abc"]
    for folder in folders:
        folder.mkdir()
    variables = {"ORBIT_LEASE_SECONDS": "2", "ORBIT_MAX_DISPATCH_RETRIES": "20"}
    with (
        Receiver(slow_now_and_then) as sink,
        cluster(server, committed, folders[0], **variables, **endpoint(sink.url)) as one,
        cluster(server, committed, folders[1], **variables, **endpoint(sink.url)) as two,
    ):
        bodies = {name: f'{{"n":"{name}"}}'.encode() for name in names}
        cycles = []
        for number, name in enumerate(names):
            cycles.append(start_cycle(name, bodies[name]))
            if number % (CYCLES // KILLS) == 0:
                pid = victim(one if number % 2 else two, chance)
                if pid is not None and psutil.pid_exists(pid):
                    os.kill(pid, signal.SIGKILL)
                time.sleep(chance.random() * 0.2)
        # The whole of one cluster too: its supervisor's death takes its children along.
        one.stop(signal.SIGKILL)
        with cluster(server, committed, folders[2], **variables, **endpoint(sink.url)):
            until(
                lambda: not CycleRun.objects.filter(next_due_at__isnull=False).exists(),
                "cycles are left",
                seconds=90,
            )
    _audit(sink, bodies)


def _audit(sink: Receiver, bodies: dict[str, bytes]) -> None:
    """Hold the rows against what the receiver saw."""
    assert dict(rows("SELECT status, count(*) FROM orbit_cyclerun GROUP BY 1")) == {
        "success": CYCLES
    }
    assert dict(rows("SELECT status, count(*) FROM orbit_dispatchjob GROUP BY 1")) == {
        "delivered": CYCLES * 3
    }
    stored = dict(
        rows(
            "SELECT j.delivery_id::text, i.sha256 FROM orbit_dispatchjob j JOIN orbit_normalizationitem i ON i.id = j.normalization_item_id"
        )
    )
    got = Counter(request.headers["idempotency-key"] for request in sink.requests)
    assert set(got) == set(stored)
    assert all(
        stored[request.headers["idempotency-key"]] == hashlib.sha256(request.body).hexdigest()
        for request in sink.requests
    )
    assert Counter(request.body for request in sink.requests).keys() == set(bodies.values())
    # A request beyond the first is there only where a receipt says that the result is unknown, and none after a success on record.
    receipts = rows(
        "SELECT j.delivery_id::text, r.status FROM orbit_deliveryreceipt r JOIN orbit_dispatchjob j ON j.id = r.job_id"
    )
    assert Counter(key for key, status in receipts if status == "delivered") == dict.fromkeys(
        stored, 1
    )
    unknown = Counter(key for key, status in receipts if status == "unknown")
    assert all(count <= 1 + unknown[key] for key, count in got.items())
    assert {status for _, status in receipts} <= {"delivered", "unknown"}
    assert rows("SELECT cycle_id FROM orbit_cyclecheckpoint GROUP BY 1 HAVING count(*) <> 9") == []
    assert (
        rows("SELECT count(*) FROM orbit_transformation")
        == rows("SELECT count(*) FROM orbit_normalizationitem")
        == [(CYCLES * 3,)]
    )


def test_a_drain_lets_running_cycles_end_and_gives_back_what_cannot(
    server: Server, committed: str, tmp_path: Path
) -> None:
    configure_profiles(quick={"namespace": "quick"}, slow={"namespace": "slow"})
    folders = [tmp_path / letter for letter in "ab"]
    for folder in folders:
        folder.mkdir()

    def answer(sock: socket.socket) -> None:
        time.sleep(0.8 if len(sink.requests) <= 3 else 6 if len(sink.requests) <= 6 else 0)
        sock.sendall(OK)

    variables = {"ORBIT_LEASE_SECONDS": "60", "ORBIT_DRAIN_SECONDS": "2"}
    with (
        Receiver(answer) as sink,
        cluster(server, committed, folders[0], **variables, **endpoint(sink.url)) as one,
    ):
        one.ready()
        quick = start_cycle("quick")
        until(lambda: len(sink.requests) == 3, "the quick cycle isn't sent")
        slow = start_cycle("slow")
        until(lambda: len(sink.requests) == 6, "the slow cycle isn't sent")
        one.stop()
        began = time.monotonic()
        assert one.code() == 0
        assert time.monotonic() - began < 2 + 5
        assert CycleRun.objects.get(pk=quick).status == "success"
        # The lease has a minute to go, but it was given back: another cluster goes on at once.
        with cluster(server, committed, folders[1], **variables, **endpoint(sink.url)) as two:
            two.ready()
            until(
                lambda: CycleRun.objects.get(pk=slow).status == "success",
                "the slow cycle didn't go on",
            )
    assert len({request.headers["idempotency-key"] for request in sink.requests}) == 6
