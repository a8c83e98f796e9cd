"""A late success that arrives while a re-run is created."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from governance.access.actors import SYSTEM
from orbit.cycles import cancel, lease
from orbit.cycles.rerun import plan, single
from orbit.dispatch import attempt, receipts
from orbit.outbound.client import Response
from orbit.states import Trigger
from tests.support import dispatch
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_cycle,
    start_cycle,
)
from tests.support.polling import until
from tests.support.receiver import OK, Receiver

pytestmark = pytest.mark.usefixtures("committed")


def test_a_late_success_of_a_cancelled_delivery_waits_for_the_rerun_and_ends_its_copy(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ORBIT_MAX_DISPATCH_RETRIES = 0
    with Receiver(OK) as receiver, ThreadPoolExecutor(1) as pool:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old = start_cycle()
        (claimed_cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(claimed_cycle)
        job, *_ = dispatch.claim_jobs(claimed_cycle, limit=1)
        cancel.cancel(old, actor=SYSTEM, reason="stop")
        # Once the request can no longer be in flight, the attempt is closed as unknown.
        rows("UPDATE orbit_cyclerun SET next_due_at = now() WHERE id = %s RETURNING 1", old)
        run_cycle(old)
        late: list[Future[None]] = []
        write = plan.write

        def save_late_success() -> None:
            try:
                receipts.save_late_successes(
                    claimed_cycle,
                    [attempt.resolve(job, Response(200, None, "", b"", None, 1.0, True, None))],
                )
            finally:
                connection.close()

        def write_after_late_success(*args: Any, **kwargs: Any) -> Any:
            late.append(pool.submit(save_late_success))
            until(
                lambda: rows("SELECT 1 FROM pg_locks WHERE NOT granted"),
                "the late success did not wait for the re-run",
            )
            assert not late[0].done()
            return write(*args, **kwargs)

        monkeypatch.setattr(plan, "write", write_after_late_success)
        second = single.start(old, actor=SYSTEM, reason="again", source=Trigger.REST)
        late[0].result(60)
        before = len(receiver.requests)
        run_cycle(second)
        assert str(job.delivery_id) not in [
            request.headers["idempotency-key"] for request in receiver.requests[before:]
        ]
    assert rows("SELECT status FROM orbit_dispatchjob WHERE id = %s", job.job_id) == [
        ("delivered",)
    ]
    assert rows("SELECT status FROM orbit_dispatchjob WHERE requeue_of_id = %s", job.job_id) == [
        ("cancelled",)
    ]
