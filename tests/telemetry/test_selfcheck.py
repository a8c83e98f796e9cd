"""The checklist is true on a fresh installation, and says what is wrong on a broken one."""

import json
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections

from governance.kernel.errors import OrbitError
from orbit_site.processes.postgres import Server
from telemetry import coverage, database
from telemetry.models import ErrorGroup, TaskProjection
from telemetry.selfcheck import checks

LINES = 12


def walk(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """Run the command; return its exit code and document."""
    code = 0
    try:
        call_command("telemetry", "selfcheck", "--json")
    except SystemExit as ended:
        code = int(str(ended.code))
    return code, json.loads(capsys.readouterr().out)


def test_every_line_passes_on_a_fresh_installation_and_again(
    committed: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        code, document = walk(capsys)
        assert [line for line in document["lines"] if not line["ok"]] == []
        assert (code, document["ok"], len(document["lines"])) == (0, True, LINES)
    # The operator's views stay as they were.
    assert [one.status for one in coverage.scan().sessions] == ["PASS"] * 2
    assert ErrorGroup.objects.get().count == 100
    assert TaskProjection.objects.get(task_id="selfcheck").namespace == "orbit-selfcheck"
    assert caplog.messages == []


def test_a_table_that_is_missing_is_named_and_the_other_lines_say_why(
    committed: str, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    name = str(connections[database.ALIAS].settings_dict["NAME"])
    with psycopg.connect(server.url("orbit_owner", name), autocommit=True) as owner:
        owner.execute("ALTER TABLE telemetry_metric RENAME TO away")
        try:
            code, document = walk(capsys)
        finally:
            owner.execute("ALTER TABLE away RENAME TO telemetry_metric")
    assert code == 1
    first = document["lines"][0]
    assert "telemetry_metric" in first["why"]
    assert first["mend"] == "Run manage.py migrate."
    failed = [line["line"] for line in document["lines"] if not line["ok"]]
    assert len(failed) >= 9
    assert "Projection table exists with expected columns" not in failed


@pytest.mark.django_db(databases="__all__")
def test_a_line_that_fails_says_why_and_how_to_mend_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(state: checks.State) -> None:
        raise OrbitError("The reason.")

    monkeypatch.setattr(checks, "CHECKLIST", {"A line": refuse})
    assert checks.walk() == [checks.Line("A line", False, "The reason.", "Run manage.py migrate.")]


def test_the_command_prints_each_line_in_words(
    committed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("telemetry", "selfcheck")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["ok"] * LINES + ["All"]
