"""A large list as CSV, from a real web server: its memory stays small."""

import http.client
import os
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from orbit_site.processes.postgres import Server
from tests.support import processes, web_server
from tests.support.callers import console, create_user
from tests.support.pipeline import rows

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(600)]
ROWS, STEP = 200_000, 50_000
#: The file alone is as large, and its rows in memory several times that.
MOST_MEGABYTES = 30
ENTRIES = """
INSERT INTO governance_audittrailentry (id, at, actor, action, reason, previous_hash, hash)
SELECT n, now(), 'ann', 'namespace.halted', repeat('because ', 10), '', n
FROM generate_series(%s::int, %s) AS n
RETURNING 1
"""


def peak(process: psutil.Process) -> float:
    """Return the most memory that a process has ever had, in megabytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def test_a_download_of_many_rows_takes_little_memory(server: Server, committed: str) -> None:
    for first in range(1_000, 1_000 + ROWS, STEP):
        rows(ENTRIES, first, first + STEP - 1)
    browser = console(create_user("adm", "Administrator"))
    cookie = f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"

    def download(query: str) -> int:
        """Return the lines of the answer, read a piece at a time."""
        address = "/admin/governance/audittrailentry/?_export=csv" + query
        connection.request("GET", address, headers={"Cookie": cookie})
        answer = connection.getresponse()
        assert answer.status == 200
        lines = 0
        while piece := answer.read(65_536):
            lines += piece.count(b"\n")
        return lines

    with web_server.serving(server, committed) as variables:
        connection = http.client.HTTPConnection("127.0.0.1", int(variables["PORT"]), timeout=600)
        download("&q=nothing")
        port = int(variables["PORT"])
        listening = [
            process
            for process in processes.children(os.getpid(), recursive=True)
            if any(c.laddr.port == port for c in process.net_connections("tcp"))
        ]
        before = {process.pid: peak(process) for process in listening}
        lines = download("")
        grown = [peak(process) - before[process.pid] for process in listening]
        connection.close()
    assert lines > ROWS
    assert listening
    assert max(grown) < MOST_MEGABYTES
