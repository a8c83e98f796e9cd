"""A real web server process."""

import http.client
import subprocess
import sys

from tests.support.polling import until
from tests.support.project import PROJECT


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
        connection = http.client.HTTPConnection("127.0.0.1", int(variables["PORT"]), timeout=60)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    until(serves, "the web server does not serve")
