"""`manage.py trigger`, `cycles` and `why`."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from orbit.errors import CycleActive, PayloadTooLarge, RunProfileUnknown
from orbit.management.commands.trigger import OptionsConflict, PayloadUnreadable
from orbit.management.commands.why import TimeInvalid
from orbit.models import CycleRun
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
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
    with pytest.raises(PayloadTooLarge):
        call_command("trigger", "--payload", "/dev/zero")


@pytest.mark.django_db
def test_trigger_is_refused_while_a_cycle_is_active() -> None:
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
    outcomes = json.loads(capsys.readouterr().out)["results"]
    assert [(outcome["run_profile_id"], outcome["outcome"]) for outcome in outcomes] == [
        ("r1", "started"),
        ("r2", "queued"),
    ]
    call_command("trigger", "--all-run-profiles")
    assert capsys.readouterr().out.splitlines()[-1] == "2 skipped"
    with pytest.raises(OptionsConflict, match="--wait"):
        call_command("trigger", "--all-run-profiles", "--wait")


@pytest.mark.django_db
def test_why_prints_a_sentence_or_the_facts(capsys: Any) -> None:
    configure_profiles()
    call_command("why", "--run-profile", "r1", "--at", "2020-01-31T06:00:00+01:00")
    assert capsys.readouterr().out.startswith("It didn't exist yet")
    call_command("why", "--run-profile", "r1", "--at", "2020-01-31T06:00:00Z", "--json")
    document = json.loads(capsys.readouterr().out)
    facts = document["facts"]
    assert (document["ran"], facts["run_profile_id"], facts["at"]) == (
        False,
        "r1",
        "2020-01-31T06:00:00Z",
    )
    with pytest.raises(RunProfileUnknown):
        call_command("why", "--run-profile", "unknown", "--at", "2020-01-31T06:00:00Z")
    for time in ("yesterday", "2020-01-31T06:00:00"):
        with pytest.raises(TimeInvalid, match="--at must"):
            call_command("why", "--run-profile", "r1", "--at", time)


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize(
    ("answers", "line", "code"),
    [
        ((OK,), "success: 3 tiers, 3 deliveries", None),
        ((OK, http("410 Gone")), "partial_success: 3 tiers, 1 delivery, 2 dead letters", 1),
    ],
)
def test_trigger_waits_for_the_end_and_exits_with_it(
    settings: Any, capsys: Any, answers: tuple[Any, ...], line: str, code: int | None
) -> None:
    stop = threading.Event()

    def work() -> None:
        try:
            while not stop.is_set():
                run_due(seconds=0.2)
        finally:
            connection.close()

    with Receiver(*answers) as receiver:
        configure_endpoints(settings, **{"default-endpoint": receiver.url})
        configure_profiles()
        worker = threading.Thread(target=work)
        worker.start()
        try:
            exit_code = None
            try:
                call_command("trigger", "--run-profile", "r1", "--wait", "--timeout", "60")
            except SystemExit as exit_:
                exit_code = exit_.code
        finally:
            stop.set()
            worker.join()
    cycle = CycleRun.objects.get()
    assert capsys.readouterr().out.strip() == f"cycle {cycle.pk} {line}"
    assert exit_code == code


@pytest.mark.django_db
def test_trigger_says_that_the_cycle_has_not_ended_in_time(capsys: Any) -> None:
    with pytest.raises(SystemExit) as exit_:
        call_command("trigger", "--wait", "--timeout", "0.1", "--json")
    out, err = capsys.readouterr()
    assert (exit_.value.code, json.loads(out)["status"]) == (1, "pending")
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
