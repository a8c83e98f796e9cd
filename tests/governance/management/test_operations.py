"""``manage.py operations``."""

import json
from typing import Any

import pytest
from django.core.management import call_command

from governance.kernel.reasons import ReasonInvalid
from governance.models import AuditTrailEntry
from governance.operations import ledger, periodic
from governance.operations.ledger import OperationUnknown
from governance.operations.periodic import Work
from governance.states import Every, Outcome

pytestmark = pytest.mark.django_db


def test_runs_are_listed_shown_and_cancelled(capsys: Any) -> None:
    old, _ = ledger.ensure_workspace_run_with_identity("ops.prune", {}, initiator="orbit")
    ledger.complete(old, Outcome.SUCCEEDED, {"deleted": 2}, progress={})
    run, _ = ledger.ensure_workspace_run_with_identity("dlq.bulk_requeue", {}, initiator="ann")
    ledger.save_progress(run, {"total": 9, "processed": 4, "note": "n"}, wait=0)
    call_command("operations", "--json")
    assert [row["id"] for row in json.loads(capsys.readouterr().out)["results"]] == [
        str(run.pk),
        str(old.pk),
    ]
    call_command("operations", "--limit", "1")
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), "4 of 9" in lines[1], str(run.pk) in lines[1]) == (2, True, True)
    call_command("operations", str(old.pk), "--json")
    assert json.loads(capsys.readouterr().out)["summary_counts"] == {"deleted": 2}
    call_command("operations", str(run.pk))
    assert "initiator            ann" in capsys.readouterr().out
    with pytest.raises(ReasonInvalid):
        call_command("operations", "cancel", str(run.pk))
    call_command("operations", "cancel", str(run.pk), "--reason", "enough", "--json")
    assert json.loads(capsys.readouterr().out)["outcome"] == "cancelled"
    assert AuditTrailEntry.objects.get(action="operation.cancelled").actor.startswith("command:")


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["cancel"],
        ["cancel", "x"],
        ["01a1fe84-0ce6-70ae-861c-0fab234ab46e"],
        ["a", "b"],
    ],
)
def test_a_missing_run_is_reported(words: list[str]) -> None:
    with pytest.raises(OperationUnknown):
        call_command("operations", *words, "--reason", "x")


def test_periodic_work_is_listed(capsys: Any) -> None:
    work = Work("ops.test", Every.HOUR, lambda slice_: None)
    [run] = periodic.start_due([work], wake=lambda run: None)
    call_command("operations", "periodic", "--json")
    [row] = json.loads(capsys.readouterr().out)["results"]
    assert (row["type"], row["last_run"]["id"], row["last_outcome"]) == ("ops.test", str(run), None)
    call_command("operations", "periodic")
    assert str(run) in capsys.readouterr().out.splitlines()[1]
