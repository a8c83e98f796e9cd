"""Of two clusters that ping the monitor at once, one sends."""

import threading
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from governance.alerts import evaluate
from governance.models import AlertWatch
from orbit.alerts import heartbeat
from tests.support.waiting import until_blocked

pytestmark = pytest.mark.usefixtures("committed")


def test_a_ping_that_waits_for_a_faster_one_finds_it_made(settings: Any) -> None:
    settings.ORBIT_HEARTBEAT_URL = "http://127.0.0.1:9/"
    evaluate.evaluate({}, [])
    outcomes: list[bool] = []

    def ping() -> None:
        try:
            outcomes.append(heartbeat.ping_if_due())
        finally:
            connection.close()

    second = threading.Thread(target=ping)
    with transaction.atomic():
        AlertWatch.objects.select_for_update().get()
        second.start()
        until_blocked(1)
        # Later than the statement that waits: for its clock, this time is still to come.
        AlertWatch.objects.update(pinged_at=Now())
    second.join()
    assert outcomes == [False]
