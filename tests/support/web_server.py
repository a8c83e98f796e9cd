"""A real web server process."""

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from orbit_site.processes.postgres import Server
from tests.support import database, processes
from tests.support.polling import until
from tests.support.ports import free_port
from tests.support.project import PROJECT


@contextmanager
def serving(server: Server, name: str) -> Iterator[dict[str, str]]:
    """A web server on the database ``name``. It must end well, and log no error."""
    variables = {**os.environ, **database.environment(server, name), "PORT": str(free_port())}
    process = start(variables)
    try:
        wait_until_it_serves(variables, process)
        yield variables
    finally:
        process.terminate()
        try:
            output, _ = process.communicate(timeout=60)
        finally:
            processes.kill_group(process.pid, signal.SIGKILL)
    assert (process.returncode, "Traceback" in output) == (0, False), output


def start(variables: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "web"],
        cwd=PROJECT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_until_it_serves(variables: dict[str, str], process: subprocess.Popen[str]) -> None:
    """Return once /health answers 200; fail if the process ends."""

    def serves() -> bool:
        if process.poll() is not None:
            raise AssertionError(process.communicate()[0])
        return answers(variables)

    until(serves, "the web server does not serve")


def answers(variables: dict[str, str]) -> bool:
    """Tell whether /health answers 200."""
    connection = http.client.HTTPConnection("127.0.0.1", int(variables["PORT"]), timeout=60)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
