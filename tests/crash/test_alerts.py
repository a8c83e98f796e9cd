"""Alerts from a real cluster, and processes that are killed while they send a message."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from governance.alerts import evaluate
from governance.alerts.conditions import Condition, Look, Observation
from governance.models import Alert, AlertWatch, Notification
from orbit.alerts import send
from orbit_site.processes.alerts import ClusterWatch, cluster_watch
from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.clusters import cluster
from tests.support.pipeline import rows
from tests.support.polling import until
from tests.support.receiver import OK, Receiver

pytestmark = pytest.mark.processes
DOWN = """
INSERT INTO orbit_endpointstate (id, endpoint_key, host, opened_at, probe_at, probe_wait)
VALUES (gen_random_uuid(), 'aurora', 'h', now(), now() + interval '1 hour', 300) RETURNING 1
"""
DUE = "UPDATE governance_periodicwork SET next_due_at = now() RETURNING 1"
SENDER = """
import os, signal
import django
django.setup()
from governance.alerts import notifications
from orbit.alerts import send
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
{patch} = die
send.send_due()
"""


def variables(url: str) -> dict[str, str]:
    entry = {"key": "pager", "url": url, "method": "POST", "token": "t", "alerts": True}
    return {
        "ORBIT_DISPATCH_ENDPOINTS": json.dumps([entry]),
        "ORBIT_DISPATCH_ALLOWED_HOSTS": "127.0.0.1",
    }


def configure(settings: Any, url: str) -> None:
    settings.ORBIT_DISPATCH_ENDPOINTS = variables(url)["ORBIT_DISPATCH_ENDPOINTS"]
    settings.ORBIT_DISPATCH_ALLOWED_HOSTS = ["127.0.0.1"]


@pytest.mark.parametrize(
    ("patch", "requests"),
    [("send._send", 1), ("notifications.delivered", 2)],
    ids=["before the request", "before the answer is saved"],
)
def test_a_killed_sender_leaves_its_message_to_the_next_one_under_the_same_id(
    server: Server, committed: str, settings: Any, patch: str, requests: int
) -> None:
    with Receiver(OK) as pager:
        configure(settings, pager.url)
        look = Look.of([Observation("aurora", "aurora is down")])
        evaluate.apply(Condition.ENDPOINT_DOWN, look, send.channels())
        killed = subprocess.run(
            [sys.executable, "-c", SENDER.format(patch=patch)],
            cwd=database.PROJECT,
            env={
                **os.environ,
                **database.environment(server, committed),
                **variables(pager.url),
                "DJANGO_SETTINGS_MODULE": "orbit_site.settings",
            },
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL
        assert send.send_due() == 0  # not before its lease is over
        Notification.objects.update(next_attempt_at="2020-01-01T00:00Z")
        assert send.send_due() == 1
        assert send.send_due() == 0
        assert len(pager.requests) == requests
        assert len({request.headers["webhook-id"] for request in pager.requests}) == 1
    message = Notification.objects.get()
    assert (message.status, message.attempts) == ("delivered", 2)


@pytest.mark.slow
def test_a_cluster_evaluates_sends_and_pings(
    server: Server, committed: str, tmp_path: Path
) -> None:
    def types() -> list[str]:
        return [
            json.loads(request.body)["type"]
            for request in pager.requests
            if request.line.startswith("POST") and b"endpoint_down" in request.body
        ]

    rows(DOWN)
    with (
        Receiver(OK) as pager,
        Receiver(OK) as monitor,
        cluster(
            server,
            committed,
            tmp_path,
            ORBIT_HEARTBEAT_URL=monitor.url,
            **variables(pager.url),
        ),
    ):
        until(lambda: types() == ["alert.opened"], "the alert did not arrive")
        until(lambda: monitor.requests, "the monitor got no ping")
        rows("DELETE FROM orbit_endpointstate WHERE endpoint_key = 'aurora' RETURNING 1")
        rows(DUE)
        until(lambda: types() == ["alert.opened", "alert.closed"], "its end did not arrive")
    assert AlertWatch.objects.get().ping_error == ""


def test_the_web_server_reports_once_that_no_cluster_runs(committed: str, settings: Any) -> None:
    with Receiver(OK) as pager:
        configure(settings, pager.url)
        watch, thread = ClusterWatch(looks=2), cluster_watch()
        watch.look(thread)
        assert not Alert.objects.exists()
        for _ in range(3):
            watch.look(thread)
        assert [json.loads(request.body)["condition"] for request in pager.requests] == [
            "no_cluster"
        ]
