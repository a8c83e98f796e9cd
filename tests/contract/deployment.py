"""A real web server and cluster with secrets planted wherever secrets are kept."""

import base64
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet

from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.canary import Cage, planted
from tests.support.configuration import profile, run_profile, write_profiles
from tests.support.pipeline import rows
from tests.support.polling import until
from tests.support.ports import free_port
from tests.support.receiver import Receiver

NAMES = (
    "token",
    "path",
    "query",
    "header",
    "echoed",
    "echoed_query",
    "secret_key",
    "metrics_token",
    "password",
    "inquiry",
)
#: Runs commands in one process, as manage.py would: most of a command's time is its start.
RUN = """
import json, sys
from tests.support import verbose
for words in json.loads(sys.argv[1]):
    try:
        verbose.run(["manage.py", *words])
    except SystemExit:
        pass
"""


@dataclass
class Deployment:
    """Web server and cluster at DEBUG, with a failing and an echoing receiver."""

    cage: Cage
    folder: Path
    environment: dict[str, str]
    pids: list[int]
    server_log: Path
    log_start: int
    api_token: str = ""

    def manage(self, *commands: tuple[str, ...]) -> str:
        """Run commands; return their output."""
        done = subprocess.run(
            [sys.executable, "-c", RUN, json.dumps(commands)],
            cwd=database.PROJECT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout + done.stderr

    def ask(
        self, method: str, path: str, *, body: bytes = b"", **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection(
            "127.0.0.1", int(self.environment["PORT"]), timeout=30
        )
        try:
            connection.request(
                method,
                path,
                body,
                {name.replace("_", "-"): value for name, value in headers.items()},
            )
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()


@contextmanager
def deployed(
    server: Server, name: str, folder: Path, receivers: list[Receiver]
) -> Iterator[Deployment]:
    secrets_by_name = {name: planted() for name in NAMES}
    key, secret = planted(32), "whsec_" + base64.b64encode(planted(32).encode()).decode()
    secrets_by_name |= {
        "signing_secret": secret.removeprefix("whsec_"),
        "signing_key": base64.b64decode(secret.removeprefix("whsec_")).decode(),
    }
    sealing = base64.urlsafe_b64encode(key.encode()).decode()
    secrets_by_name |= {"sealing_key": sealing, "sealing_bytes": key}
    Fernet(sealing)
    failing, echoing = receivers
    common = {"method": "POST", "signing_secret": secret, "read_timeout": 1, "total_timeout": 2}
    endpoints = [
        {
            **common,
            "key": "failing",
            "url": f"{failing.url}/{secrets_by_name['path']}?key={secrets_by_name['query']}",
            "token": secrets_by_name["token"],
            "headers": {"X-Key": secrets_by_name["header"]},
            "inquiry_url": f"{failing.url}/{secrets_by_name['inquiry']}/{{id}}",
        },
        {
            **common,
            "key": "echoing",
            "url": f"{echoing.url}?key={secrets_by_name['echoed_query']}",
            "token": secrets_by_name["echoed"],
            "headers": {"X-Key": secrets_by_name["header"]},
        },
    ]
    write_profiles(folder, [profile()], [run_profile(distribution_targets=["failing", "echoing"])])
    environment = {
        **os.environ,
        **database.environment(server, name),
        "DJANGO_SETTINGS_MODULE": "orbit_site.settings",
        "ORBIT_CONFIG_DIR": str(folder),
        "ORBIT_DISPATCH_ENDPOINTS": json.dumps(endpoints),
        "ORBIT_DISPATCH_ALLOWED_HOSTS": "127.0.0.1",
        "ORBIT_DISPATCH_BACKOFF_BASE": "0.05",
        "ORBIT_DISPATCH_BACKOFF_CAP": "0.1",
        "ORBIT_MAX_DISPATCH_RETRIES": "1",
        "ORBIT_CRON_SCHEDULE": "",
        "ORBIT_SECRET_KEY": secrets_by_name["secret_key"],
        "ORBIT_ENCRYPTION_KEYS": sealing,
        "ORBIT_METRICS_TOKEN": secrets_by_name["metrics_token"],
        "ORBIT_PASSWORD": secrets_by_name["password"],
        "PORT": str(free_port()),
        "ORBIT_LOG_DIR": str(folder / "logs"),
        "PYTHONUNBUFFERED": "1",
    }
    server_log = server.data.with_name("postgres.log")
    # The log of all tests: skip what was logged before the secrets existed.
    deployment = Deployment(Cage(), folder, environment, [], server_log, server_log.stat().st_size)
    output = deployment.manage(
        ("user", "create", "root", "--role", "administrator", "--superuser"),
        ("token", "create", "root", "--scopes", "read,operate,review,configure", "--json"),
    )
    assert "created" in output
    # The only place that may show it, once.
    deployment.api_token = json.loads(output.splitlines()[-1])["token"]
    deployment.cage = Cage(**secrets_by_name, api_token=deployment.api_token)
    running = []
    try:
        for words in ("web", "cluster"):
            with (folder / f"{words}.log").open("wb") as log:
                running.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "tests.support.verbose", words],
                        cwd=database.PROJECT,
                        env=environment,
                        stdout=log,
                        stderr=log,
                    )
                )
        deployment.pids = [process.pid for process in running]
        until(
            lambda: rows("SELECT 1 FROM orbit_clusternode") and _serves(deployment),
            "web and cluster aren't there",
        )
        yield deployment
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(60)


def _serves(deployment: Deployment) -> bool:
    try:
        return deployment.ask("GET", "/health")[0] == 200
    except OSError:
        return False
