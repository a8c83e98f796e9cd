"""`trigger`, `cycles`, `dlq`."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from governance.kernel.commands import ReasonMissing
from governance.models import AuditTrailEntry, OperationRun, OperationRunItem
from governance.operations.bulk_command import SelectionUnclear
from orbit.errors import AlreadyRequeued, CycleActive, LetterUnknown, RunProfileUnknown
from orbit.management.commands.trigger import OptionsConflict, PayloadUnreadable
from orbit.management.commands.why import TimeInvalid
from orbit.models import CycleRun, DeadLetterDispatch
from tests.support.dead_letters import create_dead_letters, run_batches
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    run_cycle,
    run_due,
    start_cycle,
)
from tests.support.receiver import OK, Receiver, http


@pytest.mark.django_db
def test_trigger_starts_a_cycle_on_a_file_byte_for_byte(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "input"
    for body, content_type in (
        (b'{"a": 1.0}\n', "application/json"),
        (bytes(range(256)), "application/octet-stream"),
    ):
        file.write_bytes(body)
        call_command("trigger", "--payload", str(file), "--json")
        cycle = CycleRun.objects.get(pk=json.loads(capsys.readouterr().out)["cycle_run_id"])
        assert (bytes(cycle.input), cycle.input_content_type, cycle.trigger) == (
            body,
            content_type,
            "command",
        )
        CycleRun.objects.update(
            status="cancelled", finished_at="2026-01-01T00:00:00Z", next_due_at=None
        )
    with pytest.raises(PayloadUnreadable, match="No such file"):
        call_command("trigger", "--payload", str(tmp_path / "nothing"))


@pytest.mark.django_db
def test_trigger_says_what_is_in_the_way() -> None:
    call_command("trigger")
    with pytest.raises(CycleActive):
        call_command("trigger")


@pytest.mark.django_db
def test_trigger_orchestrates_every_enabled_run_profile(capsys: Any) -> None:
    call_command("trigger", "--all-run-profiles")
    assert "no run profile is enabled" in capsys.readouterr().out
    configure_profiles(
        r1={"namespace": "a"}, r2={"namespace": "a"}, r3={"namespace": "b", "state": "disabled"}
    )
    call_command("trigger", "--all-run-profiles", "--json")
    found = json.loads(capsys.readouterr().out)["results"]
    assert [(one["run_profile_id"], one["outcome"]) for one in found] == [
        ("r1", "started"),
        ("r2", "queued"),
    ]
    call_command("trigger", "--all-run-profiles")
    assert capsys.readouterr().out.splitlines()[-1] == "2 skipped"
    with pytest.raises(OptionsConflict, match="--wait"):
        call_command("trigger", "--all-run-profiles", "--wait")


@pytest.mark.django_db
def test_why_says_one_sentence_or_the_facts_too(capsys: Any) -> None:
    configure_profiles()
    call_command("why", "--run-profile", "r1", "--at", "2020-01-31T06:00:00+01:00")
    assert capsys.readouterr().out.startswith("It didn't exist yet")
    call_command("why", "--run-profile", "r1", "--at", "2020-01-31T06:00:00Z", "--json")
    found = json.loads(capsys.readouterr().out)
    assert (found["ran"], found["facts"]["run_profile_id"], found["facts"]["at"]) == (
        False,
        "r1",
        "2020-01-31T06:00:00Z",
    )
    with pytest.raises(RunProfileUnknown):
        call_command("why", "--run-profile", "nobody", "--at", "2020-01-31T06:00:00Z")
    for time in ("yesterday", "2020-01-31T06:00:00"):
        with pytest.raises(TimeInvalid, match="--at must"):
            call_command("why", "--run-profile", "r1", "--at", time)


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize(("answers", "line", "code"), [((OK,), "success: 3 tiers, 3 deliveries", None),
                                                       ((OK, http("410 Gone")), "partial_success: 3 tiers, 1 delivery, 2 dead letters", 1)])  # fmt: skip
def test_trigger_waits_for_the_end_and_exits_with_it(
    settings: Any, capsys: Any, answers: tuple[Any, ...], line: str, code: int | None
) -> None:
    over = threading.Event()

    def work() -> None:
        try:
            while not over.is_set():
                run_due(seconds=0.2)
        finally:
            connection.close()

    with Receiver(*answers) as receiver:
        configure_endpoints(settings, **{"default-endpoint": receiver.url})
        configure_profiles()
        worker = threading.Thread(target=work)
        worker.start()
        try:
            ended = None
            try:
                call_command("trigger", "--run-profile", "r1", "--wait", "--timeout", "30")
            except SystemExit as stopped:
                ended = stopped.code
        finally:
            over.set()
            worker.join()
    cycle = CycleRun.objects.get()
    assert capsys.readouterr().out.strip() == f"cycle {cycle.pk} {line}"
    assert ended == code


@pytest.mark.django_db
def test_trigger_that_waits_in_vain_says_so(capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("trigger", "--wait", "--timeout", "0.1", "--json")
    out, err = capsys.readouterr()
    assert (ended.value.code, json.loads(out)["status"]) == (1, "pending")
    assert "Is a cluster running?" in err


@pytest.mark.django_db
def test_cycles_lists_the_newest(capsys: Any) -> None:
    configure_profiles(a={"namespace": "a"}, b={"namespace": "b"})
    first, second = start_cycle("a"), start_cycle("b")
    call_command("cycles", "--json")
    assert [row["id"] for row in json.loads(capsys.readouterr().out)["results"]] == [
        str(second),
        str(first),
    ]
    call_command("cycles", "--limit", "1")
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), str(second) in lines[1]) == (2, True)


@pytest.mark.usefixtures("committed")
def test_dlq_lists_and_requeues(settings: Any, capsys: Any) -> None:
    with Receiver(http("410 Gone")) as bad:
        configure_endpoints(settings, **{"default-endpoint": bad.url})
        configure_profiles()
        run_cycle(start_cycle())
    call_command("dlq", "list", "--json")
    found = json.loads(capsys.readouterr().out)["results"]
    assert [(row["status_code"], row["endpoint_key"]) for row in found] == [
        (410, "default-endpoint")
    ] * 3
    call_command("dlq", "list", "--limit", "2")
    assert len(capsys.readouterr().out.splitlines()) == 3
    letter = found[0]["id"]
    for empty in ("", " \n", "x" * 2001):
        with pytest.raises(ReasonMissing):
            call_command("dlq", "requeue", letter, "--reason", empty)
    assert DeadLetterDispatch.objects.get(pk=letter).status == "open"
    call_command("dlq", "requeue", letter, "--reason", "it is back", "--json")
    job = json.loads(capsys.readouterr().out)["dispatch_job_id"]
    assert str(DeadLetterDispatch.objects.get(pk=letter).requeued_job_id) == job
    assert AuditTrailEntry.objects.get(action="dead_letter.requeued").reason == "it is back"
    with pytest.raises(AlreadyRequeued):
        call_command("dlq", "requeue", letter, "--reason", "again")
    for unknown in ("nonsense", job):
        with pytest.raises(LetterUnknown):
            call_command("dlq", "requeue", unknown, "--reason", "x")


@pytest.mark.usefixtures("committed")
def test_dlq_takes_many_by_an_operation_run(settings: Any, capsys: Any) -> None:
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/x")
    found = [
        *create_dead_letters(2),
        *create_dead_letters(1, namespace="b", error="order {i} unknown"),
    ]
    call_command("dlq", "list", "--groups", "--json")
    groups = json.loads(capsys.readouterr().out)["results"]
    assert [(group["error"], group["count"]) for group in groups] == [
        ("HTTP 503", 2),
        ("order # unknown", 1),
    ]
    call_command("dlq", "list", "--groups")
    assert groups[1]["group"] in capsys.readouterr().out.splitlines()[2]
    call_command("dlq", "list", "--group", groups[1]["group"], "--json")
    assert [row["id"] for row in json.loads(capsys.readouterr().out)["results"]] == [str(found[2])]
    for words, matched in (
        ([str(found[0]), str(found[1])], 2), (["--all"], 3), (["--group", groups[1]["group"]], 1), (["--filter", "namespace=b", "--filter", "reason=x"], 0)
    ):  # fmt: skip
        call_command("dlq", "requeue", *words, "--reason", "it is back", "--json")
        answer = json.loads(capsys.readouterr().out)
        assert (
            answer["matched"]
            == OperationRunItem.objects.filter(run=answer["operation_run_id"]).count()
            == matched
        )
    call_command("dlq", "dismiss", str(found[0]), "--reason", "too old", "--json")
    assert json.loads(capsys.readouterr().out) == {"id": str(found[0]), "status": "dismissed"}
    for words in ([], ["--all", "--group", "x"], [str(found[1]), "--all"], ["--filter", "status=open"], ["--filter", "created_after=x"],
                  ["--filter", "reason=a", "--filter", "reason=b"], [str(found[1])] * 3 + ["--filter", "reason=a"]):  # fmt: skip
        with pytest.raises(SelectionUnclear):
            call_command("dlq", "requeue", *words, "--reason", "x")


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize(
    ("gone", "outcome", "code"), [(False, "succeeded", None), (True, "failed", 1)]
)
def test_dlq_waits_for_the_end_of_a_run_and_exits_with_it(
    settings: Any,
    capsys: Any,
    gone: bool,
    outcome: str,
    code: int | None,
) -> None:
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/x")
    ids = (
        ["01a1fe84-0ce6-70ae-861c-0fab234ab46e", "01a1fe84-0ce6-70ae-861c-0fab234ab46f"]
        if gone
        else [str(one) for one in create_dead_letters(2)]
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
    ended = None
    try:
        call_command("dlq", "dismiss", *ids, "--reason", "too old", "--wait")
    except SystemExit as stopped:
        ended = stopped.code
    worker.join()
    assert ended == code
    out, _ = capsys.readouterr()
    assert f"{outcome}: 2 total, 2 processed" in out
