"""`manage.py rerun`."""

import json
from typing import Any

import pytest
from django.core.management import call_command

from governance.kernel.reasons import ReasonInvalid
from governance.models import OperationRun
from governance.operations.bulk_command import SelectionUnclear
from orbit.errors import CycleUnknown
from orbit.models import CycleRun
from tests.support.dead_letters import create_dead_letters, run_batches
from tests.support.pipeline import configure_endpoints


@pytest.fixture(autouse=True)
def _own_database(committed: str, settings: Any) -> None:
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/x")


def test_one_cycle_is_previewed_and_run_again(capsys: Any) -> None:
    (old,) = create_dead_letters(1)
    call_command("rerun", str(old), "--dry-run")
    sentence = capsys.readouterr().out
    assert "tier 1 taken over; tiers 2, 3 run on today's configuration" in sentence
    assert "1 of 1 deliveries would be made" in sentence
    call_command("rerun", str(old), "--dry-run", "--json")
    assert json.loads(capsys.readouterr().out)["rerun_of"] == str(old)
    assert CycleRun.objects.count() == 1
    call_command("rerun", str(old), "--reason", "fixed", "--json")
    document = json.loads(capsys.readouterr().out)
    assert (document["rerun_of"], document["status"]) == (str(old), "pending")
    assert CycleRun.objects.get(pk=document["cycle_run_id"]).trigger == "command"


def test_a_cycle_that_does_not_succeed_in_time_exits_with_1(capsys: Any) -> None:
    (old,) = create_dead_letters(1)
    with pytest.raises(SystemExit) as exit_:
        call_command("rerun", str(old), "--reason", "x", "--wait", "--timeout", "0.1")
    assert exit_.value.code == 1


def test_many_become_an_operation_run(capsys: Any) -> None:
    create_dead_letters(1, namespace="a"), create_dead_letters(1, namespace="b")
    call_command("rerun", "--filter", "namespace=a", "--dry-run", "--json")
    (cycle_id,) = json.loads(capsys.readouterr().out)["cycle_run_ids"]
    call_command("rerun", "--filter", "namespace=a", "--dry-run")
    assert capsys.readouterr().out == f"1 cycles would run again\n  {cycle_id}\n"
    call_command("rerun", "--all", "--reason", "x", "--json")
    document = json.loads(capsys.readouterr().out)
    assert document["matched"] == 2
    assert (
        run_batches(OperationRun.objects.get(pk=document["operation_run_id"]).pk).outcome
        == "succeeded"
    )


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--all", "--filter", "namespace=a"],
        ["--filter", "nothing=a"],
        ["--filter", "created_from=x"],
        ["--filter", "namespace=a", "--filter", "namespace=b"],
    ],
)
def test_an_unclear_selection_is_refused(words: list[str]) -> None:
    with pytest.raises(SelectionUnclear):
        call_command("rerun", *words, "--reason", "x")


def test_a_rerun_needs_a_reason_and_an_existing_cycle() -> None:
    with pytest.raises(ReasonInvalid):
        call_command("rerun", "--all")
    for name in ("no-id", "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(CycleUnknown):
            call_command("rerun", name, "--reason", "x")
