"""The log lines of a real process with ORBIT_LOG_FORMAT=json."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[3]
SAY = """
import django, logging
django.setup()
from django.test import RequestFactory
from governance.rest.request_id import RequestIdMiddleware
log = logging.getLogger("orbit.somewhere")
def answer(request):
    try:
        1 / 0
    except ZeroDivisionError:
        extra = {"request": request, "status_code": 500}
        log.exception("Two lines:\\nthe %s", "second", extra=extra)
    from django.http import HttpResponse
    return HttpResponse()
RequestIdMiddleware(answer)(RequestFactory().get("/", headers={"X-Request-ID": "order-4711"}))
logging.getLogger("_granian").error("a line of the web server")
log.info("\\u2028 and \\x1b[31m are no line breaks and no colours")
"""


def lines(**variables: str) -> list[str]:
    environment = {
        **os.environ,
        "ORBIT_ENV": "test",
        "DJANGO_SETTINGS_MODULE": "orbit_site.settings",
        "ORBIT_TIME_ZONE": "Asia/Tokyo",
        **variables,
    }
    done = subprocess.run(
        [sys.executable, "-c", SAY],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    return done.stderr.split("\n")[:-1]


def test_each_record_is_one_json_document_on_one_line_with_the_requests_id_and_its_exception() -> (
    None
):
    records: list[dict[str, Any]] = [json.loads(line) for line in lines(ORBIT_LOG_FORMAT="json")]
    failed, served, odd = records
    expected = {
        "level": "ERROR",
        "logger": "orbit.somewhere",
        "message": "Two lines:\nthe second",
        "request_id": "order-4711",
        "status_code": 500,
    }
    assert {name: failed[name] for name in expected} == expected
    assert failed["exception"].startswith("Traceback")
    assert failed["exception"].endswith("ZeroDivisionError: division by zero")
    assert set(failed) == {
        "time",
        "level",
        "process",
        "logger",
        "message",
        "request_id",
        "cycle_id",
        "delivery_id",
        "status_code",
        "exception",
    }
    assert (served["logger"], served["request_id"]) == ("_granian", "")
    ids = {"request_id", "cycle_id", "delivery_id"}
    assert set(odd) == {"time", "level", "process", "logger", "message"} | ids


def test_the_time_is_in_utc_and_says_so_whatever_the_zone_of_the_schedules() -> None:
    for line in lines(ORBIT_LOG_FORMAT="json"):
        at = datetime.fromisoformat(json.loads(line)["time"])
        assert at.utcoffset() == timedelta(0)
        assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)


def test_a_log_folder_gets_the_same_lines(tmp_path: Path) -> None:
    records = lines(ORBIT_LOG_FORMAT="json", ORBIT_LOG_DIR=str(tmp_path))
    assert (tmp_path / "orbit.log").read_text().split("\n")[:-1] == records


def test_no_text_passes_for_a_record_of_its_own_or_moves_the_cursor() -> None:
    shown = lines(ORBIT_LOG_FORMAT="text")
    records = [line for line in shown if not line.startswith("  ")]
    assert len(records) == 3
    assert r"Two lines:\nthe second" in records[0]
    assert r"\u2028 and \x1b[31m are no line breaks" in records[2]
    assert shown[1] == "  Traceback (most recent call last):"


def test_a_log_file_is_private_and_an_existing_one_keeps_its_mode(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    before = os.umask(0)
    try:
        lines(ORBIT_LOG_DIR=str(folder))
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "orbit.log").stat().st_mode & 0o777 == 0o600
        (folder / "orbit.log").chmod(0o640)  # as logrotate's `create` makes it
        lines(ORBIT_LOG_DIR=str(folder))
        assert (folder / "orbit.log").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)
