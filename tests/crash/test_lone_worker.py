"""A cycle that may kill its worker runs beside the others, and never they wait for it."""

import itertools
import threading
from pathlib import Path
from socket import socket as Socket
from uuid import UUID

import pytest

from orbit.models import CycleRun
from orbit.records.fence import ALONE_FROM
from orbit_site.processes.postgres import Server
from tests.support import processes
from tests.support.clusters import cluster, endpoint
from tests.support.configuration import profile, run_profile, store_profiles
from tests.support.pipeline import rows, start_cycle
from tests.support.polling import until
from tests.support.receiver import OK, Receiver

pytestmark = pytest.mark.processes


def suspect(run_profile_id: str) -> UUID:
    """A cycle that was resumed twice without progress, as if it had killed its workers."""
    cycle_id = start_cycle(run_profile_id)
    CycleRun.objects.filter(pk=cycle_id).update(resumes=ALONE_FROM)
    return cycle_id


def holder(cycle_id: UUID) -> str:
    return CycleRun.objects.get(pk=cycle_id).lease_owner or ""


def running_alone() -> list[tuple[UUID, str]]:
    return rows(
        "SELECT id, lease_owner FROM orbit_cyclerun WHERE lease_owner LIKE '%%:alone'"
        " AND lease_expires_at > now()"
    )


def test_suspected_cycles_run_one_at_a_time_and_a_lone_worker_goes_on_beside_them(
    server: Server, committed: str, tmp_path: Path
) -> None:
    release, number = threading.Event(), itertools.count()

    def answer(sock: Socket) -> None:
        # The tiers of suspected cycles hang; the second and third are only started later.
        next(number)
        release.wait(60)
        sock.sendall(OK)

    variables = {"ORBIT_WORKERS": "1", "ORBIT_LEASE_SECONDS": "3"}
    with Receiver(answer) as slow, Receiver() as sink:
        tier = {"transformer": "http", "options": {"url": slow.url}, "timeout": 60}
        store_profiles(
            [profile("slow", execution_rules={"tiers": {"1": tier}}), profile("quick")],
            [
                *(run_profile(name, "slow", name) for name in ("first", "second")),
                run_profile("other", "quick", "other"),
            ],
        )
        first, second = suspect("first"), suspect("second")
        with cluster(server, committed, tmp_path, **variables, **endpoint(sink.url)) as running:
            [worker] = running.ready(workers=1).of("worker")
            until(lambda: len(slow.requests) == 1, "the first suspected cycle isn't run")
            assert holder(first).endswith(":alone")
            lone = int(holder(first).split(":")[1])
            assert lone != worker

            other = start_cycle("other")
            until(lambda: CycleRun.objects.get(pk=other).status == "success", "others wait")
            assert [cycle for cycle, _ in running_alone()] == [first]

            processes.kill(lone)
            until(lambda: len(slow.requests) == 2, "nothing runs after the lone worker's death")
            assert running.of("worker") == [worker]
            assert len(running_alone()) == 1
            release.set()
            for cycle in (first, second):
                until(lambda c=cycle: CycleRun.objects.get(pk=c).finished_at, "not ended")  # type: ignore[misc]
            assert CycleRun.objects.get(pk=first).status == "success"
            running.stop()
            assert running.code() == 0
