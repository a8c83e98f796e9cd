"""`manage.py conductor`."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from governance.access.actors import SYSTEM
from governance.kernel import ulid
from governance.models import AuditTrailEntry
from governance.namespaces import halts
from orbit.conductor import demo, fanout, reading
from orbit.management.commands.conductor import Command
from orbit.models import ConductorRun, ConductorTask
from tests.support import conductor

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _keep_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the test's transaction: a command from a shell closes its connections at the end."""
    monkeypatch.setattr(connections, "close_all", lambda: None)


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Run the command with ``--json`` and return its document."""
    call_command("conductor", *arguments, "--json")
    return json.loads(capsys.readouterr().out)


def exit_code(*arguments: str) -> Any:
    """Run the command as from a shell; return its exit code."""
    with pytest.raises(SystemExit) as ended:
        Command().run_from_argv(["manage.py", "conductor", *arguments])
    return ended.value.code


def document(tmp_path: Path, text: str | bytes) -> str:
    file = tmp_path / "run.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(file)


def test_create_makes_the_run_of_a_file_and_of_standard_input(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps({"name": "night", "tasks": [conductor.parent(3), {"name": "t"}]})
    created = as_json(capsys, "create", document(tmp_path, text))
    assert created == {"id": ulid.check(created["id"]), "state": "PENDING"}
    assert ConductorRun.objects.get(pk=created["id"]).name == "night"
    assert AuditTrailEntry.objects.get(action="conductor_run.created").object_id == created["id"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    call_command("conductor", "create", "-")
    newest = ConductorRun.objects.latest("id")
    assert capsys.readouterr().out == f"run {newest.pk} created with 2 tasks\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "orbit: "),
        (b"\xff", "isn't UTF-8"),
        ('{"name": "r", "name": "s", "tasks": []}', "Duplicate key"),
        ("[]", "Must be an object"),
        ('{"name": "r", "tasks": []}', "/tasks"),
        ('{"name": "r", "tasks": [{"name": "a#1"}]}', "/tasks/0/name"),
        ('{"name": "r", "tasks": [{"name": "a", "parent": 0}]}', "form a circle"),
        (
            '{"name": "r", "tasks": [{"name": "a", "input": {"fanout": 0}}]}',
            "/tasks/0/input/fanout",
        ),
        ('{"name": "r", "tasks": [{"name": "a", "failure_policy": "x"}]}', "wait_all"),
        (" " * 1_048_577, "over 1 MiB"),
    ],
)
def test_a_bad_document_is_refused_with_the_place(
    tmp_path: Path, capsys: Any, text: str | bytes, words: str
) -> None:
    assert exit_code("create", document(tmp_path, text)) == 2
    assert words in capsys.readouterr().err
    assert not ConductorRun.objects.exists()


def test_a_file_that_cant_be_read_and_a_namespace_that_isnt_there_are_refused(
    tmp_path: Path, capsys: Any
) -> None:
    assert exit_code("create", str(tmp_path / "nothing")) == 2
    assert "nothing can't be read: No such file" in capsys.readouterr().err
    assert exit_code("create", "/dev/zero") == 2
    text = '{"name": "r", "namespace": "nowhere", "tasks": [{"name": "a"}]}'
    assert exit_code("create", document(tmp_path, text)) == 3
    assert "nowhere" in capsys.readouterr().err


def test_an_action_is_needed(capsys: Any) -> None:
    for arguments in ((), ("explode",), ("create",)):
        assert exit_code(*arguments) == 2
    assert "usage:" in capsys.readouterr().err


def test_fanout_repeats_until_nothing_is_pending(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout.run_fanout_once, "__defaults__", (4,))
    conductor.run(conductor.parent(5), conductor.parent(5, "Q"), conductor.parent(-1, "bad"))
    assert as_json(capsys, "fanout") == {"children": 10, "parents": 2, "failed": 1, "passes": 3}
    assert as_json(capsys, "fanout") == {"children": 0, "parents": 0, "failed": 0, "passes": 0}
    call_command("conductor", "fanout")
    assert capsys.readouterr().out.startswith("0 children of 0 parents made in 0 passes")


def test_aggregate_ends_what_its_children_decide(capsys: Any) -> None:
    created = conductor.run(conductor.parent(2), conductor.parent(True, "bad"))
    fanout.run_fanout_once()
    children = ConductorTask.objects.filter(parent__name="P")
    for state in ("RUNNING", "SUCCEEDED"):
        children.update(state=state, ready=False)
    assert as_json(capsys, "aggregate") == {
        "succeeded": 1,
        "failed": 0,
        "cancelled": 0,
        "runs_ended": 1,
        "tasks_cancelled": 0,
    }
    assert reading.find_run(created.id, actor=SYSTEM).state == "FAILED"
    call_command("conductor", "aggregate")
    assert "runs ended: 0" in capsys.readouterr().out


def test_demo_prints_the_state_at_each_step(capsys: Any) -> None:
    steps = as_json(capsys, "demo")["steps"]
    names = [demo.PARENT, *(f"{demo.PARENT}#{number}" for number in (1, 2, 3))]
    states = [[(task["name"], task["state"]) for task in step["tasks"]] for step in steps]
    assert states == [
        [(demo.PARENT, "PENDING")],
        list(zip(names, ["RUNNING", "PENDING", "PENDING", "PENDING"], strict=True)),
        list(zip(names, ["RUNNING", "SUCCEEDED", "SUCCEEDED", "SUCCEEDED"], strict=True)),
        list(zip(names, ["SUCCEEDED"] * 4, strict=True)),
    ]
    assert [step["run"]["state"] for step in steps][-1] == "SUCCEEDED"
    call_command("conductor", "demo")
    assert f"  {demo.PARENT}#3 SUCCEEDED" in capsys.readouterr().out.splitlines()


def test_a_demo_that_doesnt_go_on_says_why(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_PATIENCE_SECONDS", 0.3)
    conductor.run({"name": "t"})
    halts.halt("default", actor=SYSTEM, reason="test")
    assert exit_code("demo") == 4
    assert "halted" in capsys.readouterr().err
