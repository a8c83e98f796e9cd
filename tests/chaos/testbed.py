"""The testbed of a scenario: a database, a sink, clusters, and what was done to them."""

import json
import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import Error, connections

from governance.access.actors import SYSTEM
from orbit.cycles import trigger
from orbit.pipeline.contract import Payload
from orbit.states import Trigger
from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server
from tests.chaos.fleet import LIMIT, Late, Member, kill, until
from tests.chaos.monitor import InvariantMonitor
from tests.chaos.sink import Sink
from tests.support import database
from tests.support.configuration import profile, run_profile, store_profiles, write_profiles

LEASE = 2
FINAL = ("success", "partial_success", "failed", "cancelled")
OPEN = """SELECT count(*) FROM orbit_cyclerun WHERE next_due_at IS NOT NULL
OR status NOT IN ('success', 'partial_success', 'failed', 'cancelled')"""


@dataclass
class Testbed:
    """The testbed of one scenario.

    ``accepted``: the cycles that Orbit has accepted. ``strict``: a broken promise about time is a
    violation. On a busy machine it is not. ``load_seconds``: how long a load goes on whose scenario
    has no end of its own.
    """

    __test__: ClassVar[bool] = False  # pytest collects classes named Test*

    server: Server
    name: str
    folder: Path
    sink: Sink
    chance: random.Random
    strict: bool = True
    #: The role that looks at the rows: a superuser where the server lets one in.
    role: str = SUPERUSER
    load_seconds: float = 0.0
    accepted: list[UUID] = field(default_factory=list)
    kills: int = 0
    lost: int = 0
    doubled: int = 0
    recoveries: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    monitor: InvariantMonitor = field(init=False)
    _connection: psycopg.Connection[Any] | None = None

    def __post_init__(self) -> None:
        self.monitor = InvariantMonitor(self.url)

    @property
    def url(self) -> str:
        """The database URL of the role."""
        return self.server.url(self.role, self.name)

    def query(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a statement. Wait for a server that is away."""
        ends = time.monotonic() + LIMIT
        while True:
            try:
                if self._connection is None:
                    self._connection = psycopg.connect(
                        self.url, autocommit=True, application_name="chaos", connect_timeout=5
                    )
                cursor = self._connection.execute(text, values)
                return list(cursor.fetchall()) if cursor.description else []
            except (psycopg.OperationalError, psycopg.InterfaceError):
                self._connection = None
                if time.monotonic() > ends:
                    raise
                time.sleep(0.1)

    def value(self, text: str, *values: Any) -> Any:
        """Return the first value of a statement, or None."""
        rows = self.query(text, *values)
        return rows[0][0] if rows else None

    def configure(
        self, names: list[str], tiers: Mapping[str, Any] | None = None, *, profile_id: str = "p1"
    ) -> None:
        """Store a profile with ``tiers``, and run profiles with a namespace each."""
        store_profiles(
            [profile(profile_id, execution_rules={"tiers": dict(tiers or {})})],
            [run_profile(name, profile_id, f"n-{name}") for name in names],
        )

    def asking_tiers(self) -> dict[str, Any]:
        """Return tiers that send requests to the sink, so that each has its own commit."""
        return {
            str(tier): {
                "transformer": "http",
                "backoff_base": 0.1,
                "options": {"url": f"{self.sink.url}/tier/{tier}"},
            }
            for tier in (1, 2, 3)
        }

    def start(self, name: str) -> UUID | None:
        """Trigger a cycle; return its id, or None if a database error hides the result."""
        body = json.dumps({"run": name, "n": len(self.accepted)}).encode()
        try:
            triggered = trigger.start(
                namespace=None,
                source=Trigger.COMMAND,
                actor=SYSTEM,
                run_profile_id=name,
                payload=Payload(body, "application/json"),
            )
        except Error:
            connections["default"].close()
            return None
        self.accepted.append(triggered.cycle_id)
        return triggered.cycle_id

    def begin(self, name: str) -> UUID:
        """Trigger a cycle and return its id. Raises Late."""
        cycle = self.start(name)
        if cycle is None:
            raise Late(f"no cycle of {name} could be triggered")
        return cycle

    def cluster(
        self,
        *,
        project: Path = database.PROJECT,
        command: str = "cluster",
        program: Sequence[str] = ("manage.py",),
        **variables: str,
    ) -> Member:
        """Start a cluster; its log is kept in the testbed's folder."""
        folder = self.folder / f"cluster-{len(self.members)}"
        folder.mkdir()
        write_profiles(folder, [], [])
        target = {
            "key": "default-endpoint",
            "url": f"{self.sink.url}/hook",
            "method": "POST",
            "token": "token",
        }
        environment = {
            **os.environ,
            **database.environment(self.server, self.name),
            "ORBIT_CRON_SCHEDULE": "",
            "ORBIT_CONFIG_DIR": str(folder),
            "ORBIT_SECRET_KEY": str(settings.SECRET_KEY),
            "ORBIT_DISPATCH_ENDPOINTS": json.dumps([target]),
            "ORBIT_DISPATCH_ALLOWED_HOSTS": "127.0.0.1",
            "ORBIT_DISPATCH_BACKOFF_BASE": "0.1",
            "ORBIT_DISPATCH_BACKOFF_CAP": "1",
            "ORBIT_MAX_DISPATCH_RETRIES": "20",
            "ORBIT_LEASE_SECONDS": str(LEASE),
            "ORBIT_WORKERS": "1",
            **variables,
        }
        member = Member(project, environment, folder / "log", command, program)
        self.members.append(member)
        return member

    def ready(self, *members: Member, workers: int = 1, seconds: float = LIMIT) -> None:
        """Wait until ``members`` have all processes and a heartbeat. Raises Late."""
        for member in members:
            until(
                partial(self._is_ready, member, workers),
                seconds,
                f"the cluster {member.pid} isn't ready: {member.log}",
            )

    def _is_ready(self, member: Member, workers: int) -> bool:
        if not member.alive:
            raise Late(
                f"the cluster {member.pid} ended at its start: {member.log.read_text()[-2000:]}"
            )
        if not self.query(
            "SELECT 1 FROM orbit_clusternode WHERE pid = %s AND NOT draining", member.pid
        ):
            return False
        return (
            len(self.of(member, "worker")) == workers and len(self.of(member, "maintenance")) == 1
        )

    def of(self, member: Member, role: str) -> list[int]:
        """Return the live children connected as ``role``: ``worker`` or ``maintenance``."""
        names = {
            row[0]
            for row in self.query(
                "SELECT application_name FROM pg_stat_activity WHERE datname = current_database()"
            )
        }
        return [pid for pid in member.children() if f"orbit-{role} {pid}" in names]

    def holder(self, cycle: UUID) -> int | None:
        """Return the process that holds the lease of ``cycle``."""
        owner = self.value("SELECT lease_owner FROM orbit_cyclerun WHERE id = %s", cycle)
        return int(owner.split(":")[1]) if owner else None

    def carrier(self, cycle: UUID) -> int:
        """Wait for a process that runs ``cycle``; return it. Raises Late."""
        return until(lambda: self.holder(cycle), LIMIT, f"no worker runs {cycle}", every=0.001)

    def member_of(self, pid: int) -> Member:
        """Return the cluster that the process ``pid`` belongs to."""
        return next(member for member in self.members if member.alive and member.owns(pid))

    def kill(self, pid: int) -> float:
        """SIGKILL a process, and count it; return the moment."""
        self.kills += 1
        return kill(pid)

    def ended(self, cycle: UUID) -> bool:
        """Tell whether a cycle has ended and nothing of it is due."""
        return bool(
            self.value(
                "SELECT status = ANY(%s) AND next_due_at IS NULL FROM orbit_cyclerun WHERE id = %s",
                list(FINAL),
                cycle,
            )
        )

    def finish(self, cycle: UUID, seconds: float = LIMIT) -> None:
        """Wait until a cycle has ended. Raises Late."""
        until(lambda: self.ended(cycle), seconds, f"the cycle {cycle} doesn't end")

    def settle(self, seconds: float = LIMIT) -> None:
        """Wait until no cycle has work left. Raises Late."""
        until(lambda: not self.value(OPEN), seconds, "cycles are left undone", every=0.05)

    def recovered(
        self, cycle: UUID, killed: float, *, before: int = 1, within: float = LEASE + 2
    ) -> None:
        """Wait until ``cycle`` was resumed or has ended; record the seconds since ``killed``.

        The promise is ``within`` seconds. ``before`` is the fencing token at the kill: if the next
        worker died before its first record, its lease had to end too.
        """
        resumes = """SELECT extract(epoch FROM created_at)::float8, (data->>'token')::int
            FROM orbit_executionrecord WHERE cycle_id = %s AND event = 'cycle_resumed'
            ORDER BY id"""

        def resumed() -> list[tuple[float, int]]:
            after = [(float(at), token) for at, token in self.query(resumes, cycle) if at > killed]
            return after or [(killed, 0)] if after or self.ended(cycle) else []

        at, token = until(resumed, LIMIT, f"no worker resumed {cycle}")[0]
        if token > before + 1:
            self.notes.append(
                f"a cycle went on after {at - killed:.1f} s: its first claimer died at once"
            )
            return
        self.recoveries.append(at - killed)
        self.promise(at - killed, within, f"the cycle {cycle} to go on after the kill")

    def promise(self, seconds: float, limit: float, what: str) -> None:
        """Record a violation if something took longer than Orbit promises."""
        if self.strict and seconds > limit:
            self.violations.append(
                f"recovery: it took {seconds:.1f} s for {what}, not {limit:g} s at most"
            )

    def end(self) -> None:
        """Stop the monitor and kill all clusters."""
        self.monitor.stop()
        for member in self.members:
            member.end()
        if self._connection is not None:
            self._connection.close()


@contextmanager
def open_testbed(
    server: Server,
    name: str,
    folder: Path,
    seed: int,
    *,
    strict: bool = True,
    role: str = SUPERUSER,
) -> Iterator[Testbed]:
    """A testbed on the database ``name``, which Django in this process uses."""
    with ExitStack() as stack:
        sink = stack.enter_context(Sink())
        testbed = Testbed(server, name, folder, sink, random.Random(seed), strict, role)
        stack.callback(testbed.end)
        yield testbed


@contextmanager
def fresh_database(server: Server, name: str) -> Iterator[str]:
    """Create the database ``name``; inside the block, Django in this process uses it."""
    database.clone(server, name)
    use_database(server, name)
    try:
        yield name
    finally:
        connections.close_all()
        with suppress(psycopg.Error):
            database.drop(server, name)


def use_database(server: Server, name: str) -> None:
    """Point Django in this process to the database ``name``, with the role that owns no table.

    If telemetry has a database of its own, to that one too.
    """
    _use(server, "default", name, "orbit_app")
    if database.is_separate():
        _use(server, "telemetry", database.second(name), "orbit_owner")


def _use(server: Server, alias: str, name: str, user: str) -> None:
    connections[alias].close()
    connection = {"NAME": name, "USER": user, "PASSWORD": "", "HOST": server.host, "PORT": ""}
    connections[alias].settings_dict.update(connection)
    settings.DATABASES[alias].update(connection)
