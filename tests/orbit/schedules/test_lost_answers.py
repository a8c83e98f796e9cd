"""The answer to the COMMIT of a tick is lost: the tick is there once, and starts its cycle once."""

import pytest
from django.db import OperationalError, connection
from django_q.models import OrmQ

from orbit.models import CronTick, CycleRun
from orbit.schedules import ledger, run_tick
from tests.orbit.schedules.test_cron import NOON
from tests.orbit.schedules.test_ledger import due_at, next_run
from tests.orbit.schedules.test_run_tick import tick
from tests.support.postgres_proxy import Fault, PostgresProxy, commit_of, lose_answer, lose_request

FAULTS = pytest.mark.parametrize("fault", [lose_answer, lose_request])


@FAULTS
def test_due_ticks_are_written_and_enqueued_once(proxy: PostgresProxy, fault: Fault) -> None:
    due_at(NOON)
    cut = proxy.on(commit_of(ledger.INSERT_TICKS), fault)
    with pytest.raises(OperationalError):
        ledger.enqueue_due(NOON)
    connection.close()
    assert ledger.enqueue_due(NOON) == []
    assert cut.done == 1
    assert (CronTick.objects.count(), OrmQ.objects.count()) == (1, 1)
    assert next_run() != NOON


@FAULTS
def test_a_tick_starts_its_cycle_once(proxy: PostgresProxy, fault: Fault) -> None:
    cron_tick = tick()
    cut = proxy.on(commit_of("INSERT INTO orbit_cyclerun"), fault)
    with pytest.raises(OperationalError):
        run_tick.run(cron_tick)
    connection.close()
    run_tick.run(cron_tick)
    assert cut.done == 1
    assert CycleRun.objects.count() == 1
    assert CronTick.objects.get().outcome == "started"
