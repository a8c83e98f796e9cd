"""Cycles whose writes share statements."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from django.db import connection

from orbit.cycles import lease, stages
from orbit.cycles.progress import CycleProgress
from orbit.models import CycleRun
from orbit.records import fence
from orbit.records.fence import ClaimedCycle
from orbit.records.writer import Writer
from tests.support import dispatch
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_due,
    start_cycle,
)
from tests.support.polling import until
from tests.support.receiver import Receiver

ENQUEUED = "SELECT cycle_id FROM orbit_cyclecheckpoint WHERE stage = 'dispatch_enqueued'"


def claim(settings: Any, number: int) -> list[ClaimedCycle]:
    """Start cycles in namespaces of their own; claim them."""
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9")
    names = [f"r{n}" for n in range(number)]
    configure_profiles(**{name: {"namespace": f"n-{name}"} for name in names})
    for name in names:
        start_cycle(name)
    claimed: list[ClaimedCycle] = []
    while len(claimed) < number:
        claimed += lease.claim(number - len(claimed))
    return claimed


def prepare(cycle: ClaimedCycle) -> None:
    """Run a new cycle up to its jobs."""
    stages.prepare_in_one_write(CycleProgress(cycle), dispatch.state(), worker=None)


@contextmanager
def together(
    cycles: Sequence[ClaimedCycle], act: Callable[[ClaimedCycle], Any] = prepare
) -> Iterator[list[Future[Any]]]:
    """Do ``act`` for all cycles in threads that share a writer, which waits for all of them."""
    shared, everyone = Writer(lambda: 0), threading.Barrier(len(cycles), timeout=60)

    def run(cycle: ClaimedCycle) -> Any:
        try:
            with fence.sharing(shared, cycle):
                everyone.wait()
                return act(cycle)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(cycles)) as pool:
        yield [pool.submit(run, cycle) for cycle in cycles]


def end_all() -> None:
    """Run cycles until nothing is left to do."""

    def ended() -> bool:
        run_due(seconds=1)
        return not CycleRun.objects.filter(next_due_at__isnull=False).exists()

    until(ended, "some cycles did not end", every=0.2)


def check_delivered_once(receiver: Receiver, number: int, *, most: int = 1) -> None:
    """Check that each of ``number`` cycles succeeded, and each delivery was recorded once."""
    assert rows("SELECT status, count(*) FROM orbit_cyclerun GROUP BY 1") == [("success", number)]
    keys = Counter(request.headers["idempotency-key"] for request in receiver.requests)
    assert len(keys) == 3 * number
    assert max(keys.values()) <= most
    assert rows("SELECT count(*) FROM orbit_deliveryreceipt WHERE status = 'delivered'") == [
        (3 * number,)
    ]
    doubled = (
        "SELECT cycle_id, stage FROM orbit_cyclecheckpoint GROUP BY 1, 2 HAVING count(*) > 1",
        "SELECT cycle_id FROM orbit_executionrecord WHERE event = 'cycle_finished'"
        " GROUP BY 1 HAVING count(*) > 1",
        "SELECT cycle_id FROM orbit_valueledgerentry GROUP BY cycle_id, kind, tag, unit"
        " HAVING count(*) > 1",
    )
    for query in doubled:
        assert rows(query) == []
