"""A second database that was given up leaves its outbox behind."""

import os
from typing import Any

import pytest

from governance.kernel.identifiers import uuid7
from orbit_site.processes.maintenance import Maintenance
from telemetry import forward, outbox
from tests.support import database
from tests.support.outbox import counters, fill, forwarded, keys, waiting

pytestmark = pytest.mark.skipif(database.is_separate(), reason="has a second database")


@pytest.mark.django_db
def test_its_events_go_to_the_main_database() -> None:
    assert outbox.backlog() is None
    fill(30)
    expected = keys()
    backlog = outbox.backlog()
    assert backlog is not None
    assert backlog.count == 30
    assert (forward.forward(20), forward.forward(20), forward.forward(20)) == (20, 10, 0)
    assert (forwarded(), waiting(), counters()) == (expected, 0, (30, 0))


def test_maintenance_takes_them_there(committed: str, settings: Any) -> None:
    settings.ORBIT_CRON_SCHEDULE = "0 0 * * *"
    fill(5)
    Maintenance(uuid7(), os.getpid()).run_due(100.0)
    assert (waiting(), len(forwarded())) == (0, 5)
