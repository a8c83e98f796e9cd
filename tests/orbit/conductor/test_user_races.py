"""What users do to a parent while a fan-out makes its children: one waits, neither deadlocks."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from governance.access.actors import SYSTEM
from orbit.conductor import aggregate, fanout, fenced, leases, work
from orbit.conductor.fenced import Held
from orbit.models import ConductorTask
from tests.support import conductor
from tests.support.conductor_tree import ulid, wrong_counts
from tests.support.waiting import until_blocked

pytestmark = pytest.mark.usefixtures("committed")


def in_thread(call: Callable[[], object]) -> Callable[[], object]:
    def run() -> object:
        try:
            return call()
        finally:
            connection.close()

    return run


@pytest.mark.parametrize("change", [work.cancel, work.retry])
def test_a_change_of_a_user_waits_for_a_fan_out_that_holds_the_parent(
    change: Callable[..., ConductorTask],
) -> None:
    run = conductor.run(conductor.parent(3))
    fanout.run_fanout_once(1)
    (task,) = leases.claim(SYSTEM, "w", 1)
    fenced.fail([Held(task.id, task.lease_token)], error="broken", actor=SYSTEM)
    aggregate.run_to_end()
    changed = run.tasks[0].id if change is work.cancel else task.id
    with ThreadPoolExecutor(2) as pool:
        with transaction.atomic():
            # A child with the number of the next one: the fan-out waits, and holds its parent.
            ConductorTask.objects.create(
                id=ulid(),
                run_id=run.id,
                parent_id=run.tasks[0].id,
                index=2,
                namespace="default",
                name="P#2",
                state="PENDING",
                ready=True,
            )
            made = pool.submit(in_thread(lambda: fanout.run_fanout_once(1).children))
            until_blocked(1)
            done = pool.submit(in_thread(lambda: change(changed, actor=SYSTEM).state))
            until_blocked(2)
            transaction.set_rollback(True)
        assert made.result(60) == 1
        assert done.result(60) == ("CANCELLED" if change is work.cancel else "FAILED")
    aggregate.run_to_end()
    assert wrong_counts() == []
