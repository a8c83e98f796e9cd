"""Real clusters on a test's own database."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from django.db import connection

from orbit_site.processes.postgres import Server
from tests.support import database, processes
from tests.support.configuration import write_profiles
from tests.support.pipeline import rows
from tests.support.polling import until


class Cluster:
    """A running ``manage.py cluster`` in its own process group."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._roles: dict[psutil.Process, str] = {}

    def children(self) -> list[int]:
        """Return the live children."""
        return [child.pid for child in processes.children(self.process.pid)]

    def of(self, role: str) -> list[int]:
        """Return the live children that have connected as ``worker`` or ``maintenance``."""
        names = {
            name
            for (name,) in rows(
                "SELECT application_name FROM pg_stat_activity WHERE datname = current_database()"
            )
        }
        live = processes.children(self.process.pid)
        for child in live:
            if f"orbit-{role} {child.pid}" in names:
                self._roles[child] = role  # it keeps the role while it connects anew
        return [child.pid for child in live if self._roles.get(child) == role]

    def ready(self, workers: int = 2) -> "Cluster":
        node = "SELECT 1 FROM orbit_clusternode WHERE NOT draining AND pid = %s"
        until(
            lambda: (
                rows(node, self.process.pid)
                and len(self.of("worker")) == workers
                and len(self.of("maintenance")) == 1
            ),
            "the cluster isn't ready",
        )
        return self

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def code(self, seconds: float = 60) -> int:
        return self.process.wait(seconds)


@contextmanager
def cluster(
    server: Server, name: str, folder: Path, *, command: str = "cluster", **variables: str
) -> Iterator[Cluster]:
    """Start a cluster on the database ``name``; kill it at the end."""
    write_profiles(folder, [], [])
    environment = {
        **os.environ,
        **database.environment(server, name),
        "ORBIT_CRON_SCHEDULE": "",
        "ORBIT_CONFIG_DIR": str(folder),
        **variables,
    }
    process = subprocess.Popen(
        [sys.executable, "manage.py", command],
        cwd=database.PROJECT,
        env=environment,
        start_new_session=True,
    )
    try:
        yield Cluster(process)
    finally:
        for member in processes.family(process.pid):
            processes.kill(member.pid)
        process.wait()
        connection.close()


def endpoint(url: str) -> dict[str, str]:
    """Return the variables that make ``url`` the only endpoint."""
    return {
        "ORBIT_DISPATCH_ENDPOINTS": json.dumps(
            [{"key": "default-endpoint", "url": url, "method": "POST", "token": "token"}]
        ),
        "ORBIT_DISPATCH_ALLOWED_HOSTS": "127.0.0.1",
        "ORBIT_DISPATCH_BACKOFF_BASE": "0.1",
    }
