"""Endpoints that can't be used refuse the start: of web, cluster and `config check` alike."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.configuration import write_profiles
from tests.support.ports import free_port

DOORS = {"web": ["web"], "cluster": ["cluster"], "config check": ["config", "check"]}
GOOD = {
    "key": "aurora",
    "url": "https://aurora.example.com/hush?key=hush",
    "method": "POST",
    "token": "hush-hush",
}


def start_refused(
    server: Server,
    name: str,
    folder: Path,
    words: list[str],
    *entries: dict[str, Any],
    allowed: str = "",
) -> str:
    """Start an entry point that must refuse; return its output."""
    write_profiles(folder, [], [])
    environment = {
        **os.environ,
        **database.environment(server, name),
        "ORBIT_CONFIG_DIR": str(folder),
        "PORT": str(free_port()),
        "ORBIT_DISPATCH_ENDPOINTS": json.dumps(entries),
        "ORBIT_DISPATCH_ALLOWED_HOSTS": allowed,
    }
    process = subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=database.PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 2, process.stderr
    assert "Traceback" not in process.stderr
    assert "hush" not in process.stdout + process.stderr
    return process.stdout + process.stderr


@pytest.mark.processes
@pytest.mark.parametrize("words", DOORS.values(), ids=DOORS.keys())
def test_an_endpoint_whose_name_resolves_to_a_refused_address_refuses_the_start(
    server: Server, committed: str, tmp_path: Path, words: list[str]
) -> None:
    text = start_refused(
        server,
        committed,
        tmp_path,
        words,
        {**GOOD, "url": "https://localhost/hush"},
        {**GOOD, "key": "b", "url": "http://169.254.169.254/hush"},
    )
    assert all(
        word in text
        for word in (
            "`aurora`",
            "localhost (",
            "/0/url",
            "`b`",
            "169.254.169.254",
            "/1/url",
            "ORBIT_DISPATCH_ALLOWED_HOSTS",
        )
    )


@pytest.mark.processes
@pytest.mark.parametrize("words", DOORS.values(), ids=DOORS.keys())
def test_a_list_of_hosts_that_would_allow_nothing_refuses_the_start(
    server: Server, committed: str, tmp_path: Path, words: list[str]
) -> None:
    assert "ORBIT_DISPATCH_ALLOWED_HOSTS holds 'http://x'" in start_refused(
        server, committed, tmp_path, words, allowed="http://x"
    )


@pytest.mark.processes
def test_every_wrong_field_of_every_endpoint_is_reported_at_once(
    server: Server, committed: str, tmp_path: Path
) -> None:
    wrong = {
        **GOOD,
        "tokn": "hush",
        "total_timeout": 0,
        "headers": {"X-A": "hush\r\nX: y", "X B": "hush"},
        "method": "GET",
    }
    text = start_refused(server, committed, tmp_path, ["cluster"], wrong, {**GOOD, "token": ""})
    assert all(
        pointer in text
        for pointer in (
            "/0/tokn",
            "/0/total_timeout",
            "/0/headers/X-A",
            "/0/headers/X B",
            "/0/method",
            "/1/token",
        )
    )


@pytest.mark.processes
def test_a_name_that_does_not_resolve_is_a_warning_and_no_more(
    server: Server, committed: str, tmp_path: Path
) -> None:
    write_profiles(tmp_path, [], [])
    environment = {
        **os.environ,
        **database.environment(server, committed),
        "ORBIT_CONFIG_DIR": str(tmp_path),
        "ORBIT_DISPATCH_ENDPOINTS": json.dumps([{**GOOD, "url": "https://nothing.invalid/hush"}]),
    }
    process = subprocess.run(
        [sys.executable, "manage.py", "config", "check"],
        cwd=database.PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 0, process.stderr
    assert "warning: Endpoint `aurora`: nothing.invalid" in process.stderr
    assert "hush" not in process.stdout + process.stderr
