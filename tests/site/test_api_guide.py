"""Every curl line in docs/api.md gives the answer that the guide shows."""

import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from django.core.wsgi import get_wsgi_application

from governance.access import tokens
from governance.access.actors import SYSTEM
from tests.support.callers import create_user
from tests.support.configuration import profile, run_profile, store_profiles

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
EXAMPLE = re.compile(r"^(curl .*?)\s+# (\d{3})(?: (\w+))?$", re.MULTILINE)


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def address(committed: str) -> Any:
    with make_server(
        "127.0.0.1", 0, get_wsgi_application(), server_class=WSGIServer, handler_class=_Quiet
    ) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_every_line_of_the_guide_answers_what_stands_behind_it(
    address: str, tmp_path: Path
) -> None:
    store_profiles([profile("daily")], [run_profile("daily-eu", "daily", "eu")])
    token = tokens.create(create_user(), scopes=["read", "operate"], actor=SYSTEM)[1]
    written = GUIDE.read_text()
    actual, expected = [], []
    for line, status, code in EXAMPLE.findall(written):
        body = tmp_path / "body"
        body.write_bytes(b"")
        environment = {
            **os.environ,
            "ORBIT": address,
            "TOKEN": token,
            "AUTH": f"Authorization: Bearer {token}",
            "JSON": "Content-Type: application/json",
        }
        command = f"{line.replace('curl ', f'curl -sS -o {body} -w %{{http_code}} ', 1)}"
        done = subprocess.run(
            ["sh", "-c", command], env=environment, capture_output=True, text=True, timeout=60
        )
        answer = json.loads(body.read_bytes() or b"{}")
        actual.append((line, done.stdout + done.stderr, answer.get("code", "")))
        expected.append((line, status, code))
    assert actual == expected
    assert len(expected) == sum(line.startswith("curl ") for line in written.splitlines()) > 10
