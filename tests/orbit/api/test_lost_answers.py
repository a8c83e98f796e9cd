"""The answer to the COMMIT of a request is lost: 503, and nothing is done twice."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection

from governance.audit import chain
from governance.models import AuditTrailEntry, OperationRun
from orbit import tasks
from orbit.models import CycleRun, DeadLetterDispatch, DispatchJob
from tests.support.callers import api, create_user, problem
from tests.support.configuration import profile, run_profile, write_profiles
from tests.support.dead_letters import create_dead_letters, make_due
from tests.support.pipeline import configure_endpoints, configure_profiles
from tests.support.postgres_proxy import Fault, PostgresProxy, commit_of, lose_answer, lose_request

FAULTS = pytest.mark.parametrize("fault", [lose_answer, lose_request])


@dataclass(frozen=True)
class Call:
    """A request, the audit entry that it makes, and what a second one answers if it was done."""

    path: str
    action: str
    again: int
    body: Any = b""
    headers: tuple[tuple[str, str], ...] = ()


KEY = (("Idempotency_Key", "k"),)
CALLS = {
    "a trigger": Call("/cycles/trigger", "cycle.triggered", 409, {"run_profile_id": "r1"}),
    "a trigger with a key": Call(
        "/cycles/trigger", "cycle.triggered", 202, {"run_profile_id": "r1"}, KEY
    ),
    "all run profiles": Call("/run-profiles/trigger", "cycle.triggered", 202, {}, KEY),
    "a re-run": Call("/cycles/{cycle}/rerun", "cycle.rerun", 409, {"reason": "r"}),
    "re-runs": Call("/cycles/rerun", "operation.started", 202, {"ids": ["{cycle}"], "reason": "r"}),
    "a requeue": Call(
        "/dead-letters/{letter}/requeue", "dead_letter.requeued", 409, {"reason": "r"}
    ),
    "requeues": Call(
        "/dead-letters/requeue", "operation.started", 202, {"ids": ["{letter}"], "reason": "r"}
    ),
    "a dismissal": Call(
        "/dead-letters/{letter}/dismiss", "dead_letter.dismissed", 409, {"reason": "r"}
    ),
    "a reload": Call("/config/reload", "config.reloaded", 200, {"reason": "r"}),
    "a halt": Call("/governance/namespaces/a/halt", "namespace.halted", 200, {"reason": "r"}),
    "a pause": Call("/governance/pause", "pause.set", 200, {"reason": "r"}),
}


@pytest.fixture
def letter(proxy: PostgresProxy, settings: Any, tmp_path: Path) -> UUID:
    """A dead letter of namespace ``a``, where the run profile ``r1`` runs too."""
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/x")
    configure_profiles()
    settings.ORBIT_CONFIG_DIR = tmp_path
    write_profiles(tmp_path, [profile()], [run_profile()])
    (letter,) = create_dead_letters(1)
    return letter


def fill(template: Any, letter: UUID) -> Any:
    """Put the ids of the letter and its cycle into a path or body."""
    if isinstance(template, dict):
        return {name: fill(value, letter) for name, value in template.items()}
    if isinstance(template, list):
        return [fill(value, letter) for value in template]
    if not isinstance(template, str):
        return template
    cycle = DeadLetterDispatch.objects.get(pk=letter).cycle_id
    return template.replace("{letter}", str(letter)).replace("{cycle}", str(cycle))


@FAULTS
@pytest.mark.parametrize("name", CALLS)
def test_a_request_without_an_answer_of_its_commit_is_a_503_and_is_done_once(
    proxy: PostgresProxy, letter: UUID, name: str, fault: Fault
) -> None:
    call, client = CALLS[name], api(create_user(role="Administrator"))
    path, body, headers = fill(call.path, letter), fill(call.body, letter), dict(call.headers)
    was_done = fault is lose_answer
    cut = proxy.on(commit_of(chain.APPEND), fault)
    problem(client.post(path, body, **headers), 503, "database_unavailable")
    assert cut.done == 1
    entries = AuditTrailEntry.objects.filter(action=call.action)
    assert entries.count() == was_done
    again = client.post(path, body, **headers)
    assert again.status_code == (call.again if was_done else again.status_code)
    assert again.status_code < 300 or was_done
    expected = 2 if name == "a reload" and was_done else 1  # it is on record, and changes nothing
    assert entries.count() == expected


def test_a_key_brings_the_cycle_of_the_answer_that_was_lost(
    proxy: PostgresProxy, letter: UUID
) -> None:
    client = api(create_user())
    proxy.on(commit_of(chain.APPEND), lose_answer)
    body = {"run_profile_id": "r1"}
    assert client.post("/cycles/trigger", body, Idempotency_Key="k").status_code == 503
    again = client.post("/cycles/trigger", body, Idempotency_Key="k")
    (cycle,) = CycleRun.objects.exclude(status="failed")
    assert again.json()["cycle_run_id"] == str(cycle.pk)


@FAULTS
@pytest.mark.parametrize("action", ["requeue", "dismiss"])
def test_a_slice_without_an_answer_of_its_commit_is_done_once(
    proxy: PostgresProxy, letter: UUID, action: str, fault: Fault
) -> None:
    create_dead_letters(4)
    started = api(create_user()).post(f"/dead-letters/{action}", {"filter": {}, "reason": "r"})
    run_id = started.json()["operation_run_id"]
    cut = proxy.on(commit_of("UPDATE governance_operationrunitem"), fault)
    for _ in range(4):
        make_due(run_id)
        try:
            tasks.operate(run_id)
        except OperationalError:
            connection.close()
    assert cut.done == 1
    run = OperationRun.objects.get(pk=run_id)
    if action == "requeue":
        # The canary alone: the others wait for it.
        assert DispatchJob.objects.filter(requeue_of__isnull=False).count() == 1
        assert run.progress["processed"] == 1
    else:
        assert run.summary_counts["succeeded"] == run.summary_counts["processed"] == 5
    entries = AuditTrailEntry.objects.filter(action__startswith="dead_letter.")
    assert entries.count() == 1
