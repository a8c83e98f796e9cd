"""`manage.py dlq`."""

import json
import threading
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from governance.kernel.reasons import ReasonInvalid
from governance.models import AuditTrailEntry, OperationRun, OperationRunItem
from governance.operations.bulk_command import SelectionUnclear
from orbit.errors import AlreadyRequeued, LetterUnknown
from orbit.models import DeadLetterDispatch
from tests.support.dead_letters import create_dead_letters, run_batches
from tests.support.pipeline import configure_endpoints

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture(autouse=True)
def _endpoints(committed: str, settings: Any) -> None:
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/x")


def dlq(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Run the command with ``--json`` and return its document."""
    call_command("dlq", *arguments, "--json")
    return json.loads(capsys.readouterr().out)


def ids(document: dict[str, Any]) -> list[str]:
    return [row["id"] for row in document["results"]]


def test_the_list_shows_open_letters_newest_first(capsys: Any) -> None:
    letters = create_dead_letters(3, error="HTTP 410", code=410)
    document = dlq(capsys, "list")
    assert ids(document) == [str(letter) for letter in reversed(letters)]
    first = document["results"][0]
    assert (first["status_code"], first["endpoint_key"]) == (410, "default-endpoint")
    call_command("dlq", "list", "--limit", "2")
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_groups_are_listed_and_list_their_letters(capsys: Any) -> None:
    create_dead_letters(2)
    (letter,) = create_dead_letters(1, namespace="b", error="order {i} unknown")
    groups = dlq(capsys, "list", "--groups")["results"]
    assert [(group["error"], group["count"]) for group in groups] == [
        ("HTTP 503", 2),
        ("order # unknown", 1),
    ]
    call_command("dlq", "list", "--groups")
    assert groups[1]["group"] in capsys.readouterr().out.splitlines()[2]
    assert ids(dlq(capsys, "list", "--group", groups[1]["group"])) == [str(letter)]


def test_one_letter_is_requeued_once(capsys: Any) -> None:
    letter = str(create_dead_letters(1)[0])
    job = dlq(capsys, "requeue", letter, "--reason", "it is back")["dispatch_job_id"]
    assert str(DeadLetterDispatch.objects.get(pk=letter).requeued_job_id) == job
    assert AuditTrailEntry.objects.get(action="dead_letter.requeued").reason == "it is back"
    with pytest.raises(AlreadyRequeued):
        call_command("dlq", "requeue", letter, "--reason", "again")


def test_one_letter_is_dismissed(capsys: Any) -> None:
    letter = str(create_dead_letters(1)[0])
    document = dlq(capsys, "dismiss", letter, "--reason", "too old")
    assert document == {"id": letter, "status": "dismissed"}


@pytest.mark.parametrize("reason", ["", " \n", "x" * 2001])
def test_a_requeue_needs_a_reason(reason: str) -> None:
    letter = str(create_dead_letters(1)[0])
    with pytest.raises(ReasonInvalid):
        call_command("dlq", "requeue", letter, "--reason", reason)
    assert DeadLetterDispatch.objects.get(pk=letter).status == "open"


@pytest.mark.parametrize("unknown", ["nonsense", "01a1fe84-0ce6-70ae-861c-0fab234ab46e"])
def test_an_unknown_letter_is_refused(unknown: str) -> None:
    with pytest.raises(LetterUnknown):
        call_command("dlq", "requeue", unknown, "--reason", "x")


def test_many_become_an_operation_run(capsys: Any) -> None:
    a, b = (str(letter) for letter in create_dead_letters(2))
    (other,) = create_dead_letters(1, namespace="b", error="order {i} unknown")
    group = DeadLetterDispatch.objects.get(pk=other).error_group
    for selection, matched in (
        ([a, b], 2),
        (["--all"], 3),
        (["--group", group], 1),
        (["--filter", "namespace=b", "--filter", "reason=x"], 0),
    ):
        document = dlq(capsys, "requeue", *selection, "--reason", "it is back")
        items = OperationRunItem.objects.filter(run=document["operation_run_id"])
        assert document["matched"] == items.count() == matched


@pytest.mark.parametrize(
    "selection",
    [
        [],
        ["--all", "--group", "x"],
        ["--group", ""],
        ["--group", "", "--filter", "namespace=a"],
        ["--filter", "namespace="],
        ["{id}", "--all"],
        ["--filter", "status=open"],
        ["--filter", "created_after=x"],
        ["--filter", "reason=a", "--filter", "reason=b"],
        ["{id}", "{id}", "--filter", "reason=a"],
    ],
)
def test_an_unclear_selection_is_refused(selection: list[str]) -> None:
    letter = str(create_dead_letters(1)[0])
    with pytest.raises(SelectionUnclear):
        call_command(
            "dlq", "requeue", *(word.format(id=letter) for word in selection), "--reason", "x"
        )


@pytest.mark.parametrize(
    ("exist", "outcome", "code"), [(True, "succeeded", None), (False, "failed", 1)]
)
def test_wait_exits_with_the_outcome_of_the_run(
    capsys: Any, exist: bool, outcome: str, code: int | None
) -> None:
    letters = (
        [str(letter) for letter in create_dead_letters(2)]
        if exist
        else ["01a1fe84-0ce6-70ae-861c-0fab234ab46e", "01a1fe84-0ce6-70ae-861c-0fab234ab46f"]
    )

    def work() -> None:
        try:
            while not (run := OperationRun.objects.first()) or run.status != "completed":
                if run:
                    run_batches(run.pk)
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    exit_code = None
    try:
        call_command("dlq", "dismiss", *letters, "--reason", "too old", "--wait")
    except SystemExit as exit_:
        exit_code = exit_.code
    worker.join()
    assert exit_code == code
    assert f"{outcome}: 2 total, 2 processed" in capsys.readouterr().out
