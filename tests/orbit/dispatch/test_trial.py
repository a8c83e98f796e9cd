"""A test delivery: marked, guarded, audited, bounded, and counted by nothing."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models.functions import Now

from governance import audit
from governance.access.actors import SYSTEM, Actor, NotAllowed
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.models import AuditTrailEntry
from governance.namespaces import pauses
from governance.namespaces.gate import GloballyPaused
from orbit.dispatch import enqueue, trial
from orbit.errors import EndpointUnknown, JustTested
from orbit.models import DispatchJob, EndpointState
from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.callers import api, console, create_user
from tests.support.pipeline import configure_endpoints
from tests.support.polling import until
from tests.support.receiver import Receiver, http, silent
from tests.support.waiting import until_blocked

pytestmark = pytest.mark.usefixtures("committed")


def test_a_test_delivery_is_marked_and_leaves_one_entry(settings: Any) -> None:
    with Receiver() as receiver:
        configure_endpoints(settings, aurora=receiver.url)
        sent = trial.send("aurora", actor=SYSTEM)
        (request,) = receiver.requests
    assert (sent.status, sent.status_code, sent.error) == ("delivered", 200, "")
    assert request.headers["x-orbit-test"] == "1"
    assert request.headers["webhook-id"]
    assert json.loads(request.body)["orbit_test"] is True
    entry = AuditTrailEntry.objects.get(action="endpoint.tested")
    assert (entry.actor, entry.object_type, entry.object_id) == ("orbit", "endpoint", "aurora")
    assert "token-of-aurora" not in json.dumps(entry.after)
    assert entry.after["delivery_id"] == request.headers["webhook-id"]
    assert [test.status_code for test in trial.past("aurora")] == [200]
    assert trial.past("other") == []


def test_the_last_tests_have_their_own_results(settings: Any) -> None:
    answers = [http(f"{code} Busy") for code in range(500, 507)]
    with Receiver(*answers) as receiver:
        configure_endpoints(settings, aurora=receiver.url, other=receiver.url)
        for _ in answers:
            trial.send("aurora", actor=SYSTEM)
            EndpointState.objects.update(tested_at=None)
        trial.send("other", actor=SYSTEM)
    assert [test.status_code for test in trial.past("aurora")] == [506, 505, 504, 503, 502]
    page = console(create_user("bob")).get("/admin/orbit/endpoints/aurora/").content.decode()
    assert "HTTP 506" in page
    assert "HTTP 501" not in page


def test_a_test_of_an_older_release_keeps_its_result() -> None:
    result = {"status": "failed", "status_code": 503, "latency_ms": 2.0, "error": "HTTP 503"}
    with audit.transaction():
        audit.record(Action.ENDPOINT_TESTED, actor="ann", object_id="aurora", after=result)
    assert [(test.by, test.status_code) for test in trial.past("aurora")] == [("ann", 503)]


@pytest.mark.processes
def test_a_test_whose_process_is_killed_while_it_sends_leaves_its_entry(
    server: Server, committed: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver(silent) as receiver:
        configure_endpoints(settings, aurora=receiver.url)
        process = subprocess.Popen(
            [sys.executable, "manage.py", "endpoint", "test", "aurora"],
            cwd=database.PROJECT,
            env={
                **os.environ,
                **database.environment(server, committed),
                "ORBIT_DISPATCH_ENDPOINTS": settings.ORBIT_DISPATCH_ENDPOINTS,
                "ORBIT_DISPATCH_ALLOWED_HOSTS": "127.0.0.1",
            },
        )
        try:
            until(lambda: receiver.requests, "the test did not arrive", seconds=60)
        finally:
            process.kill()
            process.wait()
        (request,) = receiver.requests
    entry = AuditTrailEntry.objects.get(action="endpoint.tested")
    assert entry.actor.startswith("command:")
    assert entry.after["delivery_id"] == request.headers["webhook-id"]
    monkeypatch.setattr(trial, "_OVER_SECONDS", 3600)
    assert [test.status for test in trial.past("aurora")] == ["sending"]
    monkeypatch.setattr(trial, "_OVER_SECONDS", 0)
    (test,) = trial.past("aurora")
    assert (test.status, test.error) == ("unknown", "no result: it was interrupted")
    page = console(create_user("bob")).get("/admin/orbit/endpoints/aurora/").content.decode()
    assert "no result: it was interrupted" in page


def test_a_failed_test_counts_for_neither_circuit_nor_jobs(settings: Any) -> None:
    with Receiver(http("503 Busy", b"<script>token-of-aurora</script>")) as receiver:
        configure_endpoints(settings, aurora=receiver.url)
        sent = trial.send("aurora", actor=SYSTEM)
    assert (sent.status, sent.status_code, sent.error) == ("failed", 503, "HTTP 503")
    state = EndpointState.objects.get()
    assert (state.failures, state.opened_at, state.last_error) == (0, None, "")
    assert not DispatchJob.objects.exists()


def test_the_egress_rules_hold_for_tests_too(settings: Any) -> None:
    configure_endpoints(settings, aurora="http://127.0.0.1:9/x")
    settings.ORBIT_DISPATCH_ALLOWED_HOSTS = []
    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        trial.send("aurora", actor=SYSTEM)


def test_a_clock_that_goes_back_holds_up_no_test(settings: Any) -> None:
    with Receiver() as receiver:
        configure_endpoints(settings, aurora=receiver.url)
        trial.send("aurora", actor=SYSTEM)
        EndpointState.objects.update(tested_at="2120-01-01T00:00Z")
        trial.send("aurora", actor=SYSTEM)
        assert len(receiver.requests) == 2


def test_of_two_tests_at_once_one_is_sent(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "EVERY_SECONDS", 3600)  # however slow the machine is
    outcomes: list[str] = []

    def send() -> None:
        try:
            outcomes.append(trial.send("aurora", actor=SYSTEM).status)
        except JustTested as error:
            outcomes.append(error.code)
        finally:
            connection.close()

    with Receiver() as receiver:
        configure_endpoints(settings, aurora=receiver.url)
        threads = [threading.Thread(target=send) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(receiver.requests) == 1
    assert sorted(outcomes) == ["delivered", "tested_just_now"]


def test_a_test_that_waits_for_a_faster_one_finds_it_sent(settings: Any) -> None:
    configure_endpoints(settings, aurora="http://127.0.0.1:9/x")
    enqueue.save_configured()
    outcomes: list[type[Exception]] = []

    def send() -> None:
        try:
            trial.send("aurora", actor=SYSTEM)
        except JustTested as error:
            outcomes.append(type(error))
        finally:
            connection.close()

    second = threading.Thread(target=send)
    with transaction.atomic():
        EndpointState.objects.select_for_update().get()
        second.start()
        until_blocked(1)
        # Later than the statement that waits: for its clock, this time is still to come.
        EndpointState.objects.update(tested_at=Now())
    second.join()
    assert outcomes == [JustTested]
    assert not AuditTrailEntry.objects.exists()


def test_a_test_needs_an_operator_of_the_whole_workspace_and_no_pause(settings: Any) -> None:
    configure_endpoints(settings, aurora="http://127.0.0.1:9/x")
    viewer = Actor("eve", 1, frozenset({Scope.READ}), None)
    for actor in (viewer, replace(SYSTEM, namespaces=frozenset({"a"}))):
        with pytest.raises(NotAllowed):
            trial.send("aurora", actor=actor)
    with pytest.raises(EndpointUnknown):
        trial.send("x" * 10_000, actor=SYSTEM)
    pauses.pause(actor=SYSTEM, reason="maintenance")
    with pytest.raises(GloballyPaused):
        trial.send("aurora", actor=SYSTEM)


def test_rest_the_command_and_the_console_send_it(
    settings: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "EVERY_SECONDS", 3600)  # however slow the machine is
    with Receiver() as receiver:
        configure_endpoints(settings, one=receiver.url, two=receiver.url, three=receiver.url)
        answer = api(create_user()).post("/endpoints/one/test")
        assert (answer.status_code, answer.json()["status"]) == (200, "delivered")
        assert {"status", "status_code", "latency_ms"} <= set(answer.json())
        call_command("endpoint", "test", "two", "--json")
        assert json.loads(capsys.readouterr().out)["status_code"] == 200
        browser = console(create_user("bob"))
        page = browser.post("/admin/orbit/endpoints/three/", follow=True)
        assert "Test delivery delivered: HTTP 200" in page.content.decode()
        again = browser.post("/admin/orbit/endpoints/three/", follow=True)
        assert "was tested less than" in again.content.decode()
        assert len(receiver.requests) == 3
    assert api(create_user("carl")).post("/endpoints/nowhere/test").status_code == 404
    call_command("endpoint", "list", "--json")
    rows = json.loads(capsys.readouterr().out)["results"]
    assert [row["key"] for row in rows] == ["one", "three", "two"]
