"""With one database, too, what is in the outbox is stored."""

import os
from typing import Any

import pytest

from governance.kernel.identifiers import uuid7
from orbit import interrupts
from orbit.interrupts import WorkerState
from orbit_site.processes.maintenance import Maintenance
from telemetry import forward, outbox
from tests.support import database
from tests.support.outbox import counters, fill, forwarded, keys, waiting
from tests.support.polling import until

pytestmark = pytest.mark.skipif(database.is_separate(), reason="has a second database")


@pytest.mark.django_db
def test_its_events_go_to_the_log() -> None:
    assert outbox.backlog().count == 0
    fill(30)
    expected = keys()
    assert outbox.backlog().count == 30
    assert (forward.forward(20), forward.forward(20), forward.forward(20)) == (20, 10, 0)
    assert (forwarded(), waiting(), counters()) == (expected, 0, (30, 0))


def test_maintenance_takes_them_there(
    committed: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ORBIT_CRON_SCHEDULE = "0 0 * * *"
    monkeypatch.setattr(interrupts, "process", WorkerState())
    fill(5)
    periodic = Maintenance(uuid7(), os.getpid())
    try:
        periodic.run_due(100.0)
        until(lambda: waiting() == 0, "the outbox isn't emptied")
        assert len(forwarded()) == 5
    finally:
        periodic.forwarder.end(30)
        periodic.conductor.end(30)
