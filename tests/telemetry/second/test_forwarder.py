"""Whatever telemetry's own database does, the maintenance process goes on."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from governance.kernel.identifiers import uuid7
from orbit import interrupts
from orbit.interrupts import WorkerState
from orbit.models import AppliedFiles
from orbit_site import health
from orbit_site.processes import forwarder
from orbit_site.processes.maintenance import Maintenance
from orbit_site.processes.postgres import Server
from telemetry import forward, outbox
from tests.support import database
from tests.support.callers import Api, api, create_user, problem
from tests.support.outbox import fill, forwarded, keys, waiting
from tests.support.pipeline import rows
from tests.support.polling import until
from tests.support.read_only import set_read_only
from tests.support.silent_proxy import SilentProxy

NOWHERE = "/nonexistent"


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerState]:
    own = WorkerState()
    monkeypatch.setattr(interrupts, "process", own)
    yield own
    own.drain(0)


@pytest.fixture
def periodic(committed: str, process: WorkerState, settings: Any) -> Iterator[Maintenance]:
    settings.ORBIT_CRON_SCHEDULE = "0 0 * * *"
    periodic = Maintenance(uuid7(), os.getpid())
    yield periodic
    process.drain(0)
    periodic.forwarder.end(30)
    periodic.conductor.end(30)


def lead(host: str) -> None:
    """Let new connections to telemetry's own database go to ``host``."""
    connections["telemetry"].close()
    for options in (connections["telemetry"].settings_dict, connections.settings["telemetry"]):
        options["HOST"] = host


def problem_of_the_outbox() -> str | None:
    backlog = outbox.backlog()
    assert backlog is not None
    return backlog.problem


def run(periodic: Maintenance) -> float:
    """Run all periodic tasks once; return the seconds that it took."""
    began = time.monotonic()
    periodic.run_due(began + 10_000)
    return time.monotonic() - began


def test_events_are_forwarded_while_the_periodic_tasks_run(periodic: Maintenance) -> None:
    fill(2500)
    expected = keys()
    run(periodic)
    until(lambda: waiting() == 0, "the outbox isn't emptied")
    assert forwarded() == expected
    fill(1)
    until(lambda: waiting() == 0, "a later event isn't forwarded")


@pytest.mark.parametrize("trouble", ["down", "read-only", "not migrated"])
def test_a_second_database_in_trouble_is_reported_and_afterwards_gets_everything(
    periodic: Maintenance, committed: str, server: Server, trouble: str
) -> None:
    second = database.second(committed)
    if trouble == "down":
        lead(NOWHERE)
    elif trouble == "read-only":
        set_read_only(server, second, on=True)
    else:
        lead(server.host)
        connections["telemetry"].settings_dict["NAME"] = "postgres"
        connections.settings["telemetry"]["NAME"] = "postgres"
    fill(30)
    expected = keys()
    run(periodic)
    until(problem_of_the_outbox, "the problem isn't recorded")
    assert waiting() == 30
    assert rows("SELECT count(*) FROM orbit_clusternode") == [(1,)]
    if trouble == "read-only":
        set_read_only(server, second, on=False)
    for options in (connections["telemetry"].settings_dict, connections.settings["telemetry"]):
        options["NAME"] = second
    lead(server.host)
    until(lambda: waiting() == 0, "the outbox isn't emptied")
    assert forwarded() == expected
    until(lambda: problem_of_the_outbox() is None, "the problem is still recorded")


def test_a_second_database_that_falls_silent_is_given_up_and_the_tasks_run_meanwhile(
    periodic: Maintenance, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarder, "ROUND_SECONDS", 1.0)
    proxy = SilentProxy(tmp_path, server.host)
    lead(str(tmp_path))
    try:
        fill(10)
        run(periodic)
        until(lambda: waiting() == 0, "the outbox isn't emptied")
        assert until(proxy.silence, "nothing is connected") >= 1
        fill(10)
        expected = set(keys())
        hung = time.monotonic()

        def tasks_run() -> bool:
            run(periodic)
            return waiting() == 0

        until(tasks_run, "the thread isn't freed")
        assert time.monotonic() - hung > 1  # it did hang
    finally:
        proxy.close()
        lead(server.host)
    assert expected <= set(forwarded())
    assert len(forwarded()) == 20


def test_a_database_that_accepts_and_never_answers_holds_up_no_periodic_task(
    periodic: Maintenance, tmp_path: Path, server: Server
) -> None:
    with socket.socket(socket.AF_UNIX) as hole:
        hole.bind(str(tmp_path / ".s.PGSQL.5432"))
        hole.listen(64)
        lead(str(tmp_path))
        fill(5)
        # All tasks, several times, sooner than one attempt to connect ends (five seconds).
        assert sum(run(periodic) for _ in range(3)) < 4 * 5
        until(problem_of_the_outbox, "the problem isn't recorded")
    lead(server.host)
    until(lambda: waiting() == 0, "the outbox isn't emptied")


@pytest.fixture
def reader(committed: str, monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setattr(health, "probe", health.Probe())
    AppliedFiles.objects.update(sha256="0" * 64)
    return api(create_user(role="Administrator"))


def test_ready_stays_ready_and_says_degraded_while_telemetrys_database_is_away(
    reader: Api, server: Server
) -> None:
    assert reader.get("/ready").json()["checks"]["telemetry"] == "ok"
    lead(NOWHERE)
    try:
        fill(1)
        assert reader.get("/ready").json()["checks"]["telemetry"] == "ok"
        forward.note("no route to host")
        answer = reader.get("/ready")
        assert (answer.status_code, answer.json()["checks"]["telemetry"]) == (200, "degraded")
    finally:
        lead(server.host)


def test_metrics_and_the_banner_show_the_backlog(reader: Api) -> None:
    fill(3)
    forward.note("no route to host")
    text = reader.get("/metrics").content.decode()
    assert "orbit_telemetry_outbox_events 3.0" in text
    assert "orbit_telemetry_database_down 1.0" in text
    assert "orbit_telemetry_outbox_forwarded_total 0.0" in text
    forward.note(None)
    forward.forward()
    text = reader.get("/metrics").content.decode()
    assert "orbit_telemetry_outbox_forwarded_total 3.0" in text
    assert "orbit_telemetry_database_down 0.0" in text


def test_pages_and_calls_that_need_it_are_a_503_while_it_is_away(
    reader: Api, server: Server
) -> None:
    browser = Client(raise_request_exception=False)
    browser.force_login(create_user("eve", role="Administrator"))
    lead(NOWHERE)
    try:
        fill(1)
        forward.note("no route to host")
        event = b'{"id": "01890a5d-ac96-774b-bcce-b302099a8057", "name": "task_start"}'
        for answer in (
            reader.get("/telemetry/coverage?session_id=s1"),
            reader.send("POST", "/telemetry/events", event),
        ):
            problem(answer, 503, "database_unavailable")
            assert answer.headers["Retry-After"]
        page = browser.get("/admin/telemetry/telemetryevent/")
        assert page.status_code == 503
        # The rest of the console works, and says what is wrong.
        index = browser.get("/admin/orbit/cyclerun/")
        assert index.status_code == 200
        assert b"database takes no events since" in index.content
        assert reader.get("/cycles").status_code == 200
    finally:
        lead(server.host)
    assert browser.get("/admin/telemetry/telemetryevent/").status_code == 200
