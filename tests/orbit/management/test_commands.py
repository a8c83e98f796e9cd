"""`trigger`, `cycles`, `dlq`."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from governance.models import AuditTrailEntry
from orbit.cycles import shift
from orbit.errors import AlreadyRequeued, CycleActive, LetterUnknown
from orbit.management.commands.dlq import ReasonMissing
from orbit.management.commands.trigger import PayloadUnreadable
from orbit.models import CycleRun, DeadLetterDispatch
from tests.support.pipeline import carry, configure, endpoints, start
from tests.support.receiver import OK, Receiver, http


@pytest.mark.django_db
def test_trigger_starts_a_cycle_on_a_file_byte_for_byte(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "input"
    for body, content_type in ((b'{"a": 1.0}\n', "application/json"), (bytes(range(256)), "application/octet-stream")):
        file.write_bytes(body)
        call_command("trigger", "--payload", str(file), "--json")
        cycle = CycleRun.objects.get(pk=json.loads(capsys.readouterr().out)["cycle_run_id"])
        assert (bytes(cycle.input), cycle.input_content_type, cycle.trigger) == (body, content_type, "command")
        CycleRun.objects.update(status="cancelled", finished_at="2026-01-01T00:00:00Z", next_due_at=None)
    with pytest.raises(PayloadUnreadable, match="No such file"):
        call_command("trigger", "--payload", str(tmp_path / "nothing"))


@pytest.mark.django_db
def test_trigger_says_what_is_in_the_way() -> None:
    call_command("trigger")
    with pytest.raises(CycleActive):
        call_command("trigger")


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize(("answers", "line", "code"), [((OK,), "success: 3 tiers, 3 deliveries", None),
                                                       ((OK, http("410 Gone")), "partial_success: 3 tiers, 1 delivery, 2 dead letters", 1)])  # fmt: skip
def test_trigger_waits_for_the_end_and_exits_with_it(settings: Any, capsys: Any, answers: tuple[Any, ...], line: str, code: int | None) -> None:
    over = threading.Event()

    def work() -> None:
        try:
            while not over.is_set():
                shift.run(seconds=0.2)
        finally:
            connection.close()

    with Receiver(*answers) as receiver:
        endpoints(settings, **{"default-endpoint": receiver.url})
        configure()
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
    configure(a={"namespace": "a"}, b={"namespace": "b"})
    first, second = start("a"), start("b")
    call_command("cycles", "--json")
    assert [row["id"] for row in json.loads(capsys.readouterr().out)["results"]] == [str(second), str(first)]
    call_command("cycles", "--limit", "1")
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), str(second) in lines[1]) == (2, True)


@pytest.mark.usefixtures("committed")
def test_dlq_lists_and_requeues(settings: Any, capsys: Any) -> None:
    with Receiver(http("410 Gone")) as bad:
        endpoints(settings, **{"default-endpoint": bad.url})
        configure()
        carry(start())
    call_command("dlq", "list", "--json")
    found = json.loads(capsys.readouterr().out)["results"]
    assert [(row["status_code"], row["endpoint_key"]) for row in found] == [(410, "default-endpoint")] * 3
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
