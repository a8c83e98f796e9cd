"""The commands that stop and go on."""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command

from governance.access.actors import SYSTEM
from governance.kernel.commands import EXIT
from governance.kernel.errors import OrbitError
from governance.management.commands import drain, halt, namespace, pause, resume, unpause
from governance.models import AuditTrailEntry, Namespace, Stop
from governance.namespaces import halts

pytestmark = pytest.mark.django_db


def run(module: Any, *words: str) -> int:
    """Run a command; return the exit code that a shell gets."""
    try:
        call_command(module.Command(), *words)
    except OrbitError as error:
        sys.stderr.write(error.detail)
        return EXIT[error.kind]
    return 0


def test_a_namespace_is_created_halted_drained_and_resumed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(namespace, "create", "eu", "--json") == 0
    assert json.loads(capsys.readouterr().out)["external_id"] == str(
        Namespace.objects.get(name="eu").external_id
    )
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert run(drain, "eu", "--reason", "a release", "--until", until, "--json") == 0
    assert datetime.fromisoformat(
        json.loads(capsys.readouterr().out)["until"]
    ) == datetime.fromisoformat(until)
    assert run(halt, "eu", "--reason", "a flood", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["state"], answer["reason"], answer["by"].startswith("command:")) == (
        "halting",
        "a flood",
        True,
    )
    assert run(namespace, "show", "eu", "--json") == 0
    assert json.loads(capsys.readouterr().out)["stops"][0]["kind"] == "halt"
    assert run(resume, "eu", "--reason", "dry") == 0
    assert capsys.readouterr().out == "eu is running\n"
    assert AuditTrailEntry.objects.filter(action="namespace.resumed").count() == 1


def test_the_certificate_is_shown_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    halts.halt("default", actor=SYSTEM)
    attempt = {
        "namespace": "default",
        "cycle_run_id": "c",
        "dispatch_job_id": "j",
        "endpoint_key": "aurora",
        "attempt": 2,
        "started_at": "2026-01-31T05:59:59Z",
        "ended_at": "2026-01-31T06:00:03Z",
        "outcome": "delivered",
        "status_code": 200,
    }
    certificate = {
        "quiet_at": "2026-01-31T06:00:04Z",
        "in_flight_count": 1,
        "started_after_command": 0,
        "in_flight": [attempt],
    }
    halts.mark_quiet(
        Stop.objects.get().pk, at=datetime.now(UTC), certificate=json.dumps(certificate)
    )
    assert run(namespace, "show", "default") == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "certificate    quiet since 2026-01-31T06:00:04Z; "
        "1 deliveries were in flight when halted, 0 started later",
        "               aurora attempt 2 of job j: delivered at 2026-01-31T06:00:03Z",
    ]


def test_everything_is_paused_and_unpaused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(pause, "--reason", "a fire") == 0
    assert capsys.readouterr().out == "everything is paused by the console: a fire\n"
    assert run(unpause, "--reason", "it is out", "--json") == 0
    assert json.loads(capsys.readouterr().out)["paused"] is False


@pytest.mark.parametrize(
    ("module", "words", "code"),
    [
        (resume, ["default"], 2),
        (drain, ["default", "--reason", " "], 2),
        (pause, [], 2),
        (unpause, [], 2),
        (resume, ["nowhere", "--reason", "r"], 3),
        (halt, ["no/name"], 3),
        (halt, ["default", "--until", "yesterday"], 2),
        (halt, ["default", "--until", "2020-01-01T00:00:00Z"], 2),
        (namespace, ["create", "default"], 4),
        (namespace, ["create", "a b"], 2),
        (namespace, ["show", "nowhere"], 3),
    ],
)
def test_a_refusal_has_a_message_and_an_exit_code(
    module: Any, words: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(module, *words) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err
    assert not Stop.objects.exists()


def test_the_environments_pause_cannot_be_lifted_and_is_named(
    settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.ORBIT_GLOBAL_PAUSE = True
    assert run(unpause, "--reason", "r") == 4
    assert "ORBIT_GLOBAL_PAUSE" in capsys.readouterr().err


def test_a_wait_ends_with_the_certificate_and_gives_up_without_a_cluster(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(halt, "default", "--wait", "0.3") == 7
    assert "no cluster" in capsys.readouterr().err
    halts.mark_quiet(Stop.objects.get().pk, at=Stop.objects.get().since, certificate="{}")
    assert run(halt, "default", "--wait") == 0
    assert capsys.readouterr().out == "default is quiet: none given\n"


def test_bytes_that_are_not_text_are_accepted_as_a_reason() -> None:
    run(halt, "default", "--reason", os.fsdecode(b"caf\xe9"))
    assert Stop.objects.get().reason == "caf?"
