"""A real web server process."""

import http.client
import subprocess
import sys
import time

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
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", int(variables["PORT"]), timeout=5)
            connection.request("GET", "/health")
            assert connection.getresponse().status == 200
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()
    process.kill()
    raise AssertionError(process.communicate()[0])
