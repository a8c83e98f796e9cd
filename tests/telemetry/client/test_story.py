"""A script under ``telemetry run`` that writes two artifacts and fails, as an operator sees it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.project import PROJECT

pytestmark = [pytest.mark.processes, pytest.mark.one_database]

#: As a harness of Pester does: results and coverage in files, and an exit code.
SCRIPT = """
echo '<testsuite tests="2" failures="1"/>' > results.xml
echo '{"line": 80}' > coverage.json
echo "1 test failed" >&2
exit ${DJANGO_SETTINGS_MODULE:+99}3
"""


def manage(server: Server, name: str, folder: Path, *arguments: str) -> tuple[int, str, str]:
    # manage.py sets this for itself. Its program may be another project of Django.
    theirs = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    ended = subprocess.run(
        [sys.executable, str(PROJECT / "manage.py"), *arguments],
        cwd=folder,
        env={
            **theirs,
            **database.environment(server, name),
            "ORBIT_TELEMETRY_SPOOL": str(folder / "spool"),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    return ended.returncode, ended.stdout, ended.stderr


def test_a_run_that_fails_is_seen_in_coverage_artifacts_and_errors(
    server: Server, committed: str, tmp_path: Path
) -> None:
    (tmp_path / "pester.sh").write_text(SCRIPT)
    (tmp_path / "old.xml").write_text("from yesterday")
    code, printed, errors = manage(
        server,
        committed,
        tmp_path,
        *("telemetry", "run", "--session", "night-1", "--task", "pester"),
        *("--artifact", "*.xml", "--artifact", "*.json"),
        *("--declare", "results.xml", "--declare", "coverage.json", "--declare", "log.txt"),
        *("--", "sh", "pester.sh"),
    )
    assert (code, printed, errors) == (3, "", "1 test failed\n")

    code, printed, _ = manage(
        server, committed, tmp_path, "telemetry", "coverage", "--session", "night-1", "--json"
    )
    (session,) = json.loads(printed)["sessions"]
    assert session["missing"] == ["artifact_emit:log.txt"]
    with psycopg.connect(server.url("orbit_app", committed)) as connection:
        events = connection.execute(
            "SELECT name, metadata ->> 'success' FROM telemetry_telemetryevent"
            " WHERE session_id = 'night-1' AND task_id = 'pester' ORDER BY id"
        ).fetchall()
        own = connection.execute(
            "SELECT name, metadata ->> 'command', metadata -> 'exit_code'"
            " FROM telemetry_telemetryevent WHERE session_id LIKE 'orbit:telemetry:%' ORDER BY id"
        ).fetchall()
    assert events == [
        ("command_start", None),
        ("task_start", None),
        ("artifact_emit", None),
        ("artifact_emit", None),
        ("error", None),
        ("task_end", "false"),
        ("command_end", "false"),
    ]
    # The wrapper reports its program only; the look at coverage is a command of its own.
    assert own == [("command_start", "telemetry", None), ("command_end", "telemetry", code)]
    assert list((tmp_path / "spool").rglob("*.*")) == []


def test_a_database_that_is_away_stops_no_program_and_loses_no_event(
    server: Server, committed: str, tmp_path: Path
) -> None:
    def away(*arguments: str) -> tuple[int, str, str]:
        ended = subprocess.run(
            [sys.executable, str(PROJECT / "manage.py"), *arguments],
            cwd=tmp_path,
            env={
                **os.environ,
                "ORBIT_ENV": "test",
                "DATABASE_URL": "postgresql://u:hush@127.0.0.1:1/orbit",
                "ORBIT_TELEMETRY_SPOOL": str(tmp_path / "spool"),
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
        return ended.returncode, ended.stdout, ended.stderr

    code, printed, errors = away(
        "telemetry", "run", "--session", "night-2", "--", "sh", "-c", "echo done; kill -TERM $$"
    )
    assert (code, printed) == (143, "done\n")
    # One sentence: the program has waited for the database once.
    assert errors.startswith("orbit telemetry: the database is away; the events are kept in")
    assert errors.count("\n") == 1

    code, printed, errors = manage(
        server, committed, tmp_path, "telemetry", "run", "--session", "night-3", "--", "true"
    )
    assert (code, printed, errors) == (0, "", "")
    with psycopg.connect(server.url("orbit_app", committed)) as connection:
        counts = connection.execute(
            "SELECT session_id, count(*) FROM telemetry_telemetryevent"
            " WHERE session_id LIKE 'night-%' GROUP BY 1 ORDER BY 1"
        ).fetchall()
    assert counts == [("night-2", 5), ("night-3", 4)]
