"""The five-minute start of docs/telemetry.md works as it is written, against Orbit over HTTP."""

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.core.wsgi import get_wsgi_application

from governance.access import tokens
from governance.access.actors import SYSTEM
from telemetry import coverage
from telemetry.models import Artifact, ErrorGroup, Metric, PolicyViolation, TelemetryEvent
from tests.support.callers import create_user
from tests.support.project import PROJECT


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def address(committed: str) -> Iterator[str]:
    with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_five_minute_start_works_as_it_is_written(address: str, tmp_path: Path) -> None:
    page = (PROJECT / "docs" / "telemetry.md").read_text()
    section = page.partition("## Five-minute start")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    assert len(blocks) == 4
    token = tokens.create(create_user(), scopes=["operate"], actor=SYSTEM)[1]
    ended = subprocess.run(
        ["bash", "-e", "-c", "\n".join(blocks)],
        cwd=tmp_path,
        env={
            **os.environ,
            "ORBIT_SOURCE": str(PROJECT),
            "ORBIT_URL": address,
            "ORBIT_TOKEN": token,
            "ORBIT_TELEMETRY_SPOOL": str(tmp_path / "spool"),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert list((tmp_path / "spool").rglob("*.ndjson")) == []
    for session in ("night-1", "night-2", "night-3"):
        assert coverage.scan(session=session).overall == "PASS", session
    assert list(Artifact.objects.values_list("path_name", flat=True).order_by("path_name")) == [
        *("out/sums.txt", "rows.csv"),
    ]
    assert set(Metric.objects.values_list("name", "value")) == {("files_checked", 17), ("rows", 1)}
    assert ErrorGroup.objects.get().message == "3 files have no owner"
    assert PolicyViolation.objects.get().rule == "header-missing"
    assert TelemetryEvent.objects.filter(name="decision").count() == 1
