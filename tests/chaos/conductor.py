"""Two clusters, two web servers, workers elsewhere, cycles and housekeeping; all are killed."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import requests
from django.db import connections

from governance.kernel.errors import OrbitError
from tests.chaos.audit import Audit
from tests.chaos.conductor_audit import RECORD, ConductorAudit
from tests.chaos.conductor_load import READY, Load
from tests.chaos.fleet import LIMIT, Late, Member, until
from tests.chaos.housekeeping import LONGEST_COMMAND, Housekeeping
from tests.chaos.storms import CUT
from tests.chaos.testbed import Testbed
from tests.support import callers, database, processes
from tests.support.ports import free_port

WORKERS, CALLERS = 4, ("ann", "bob", "eve")
NAMES = [f"c{number}" for number in range(8)]
#: Of the last kill: what was lost has to be found and done.
SETTLED = 180.0
#: Of the end of a thread: commands and callers end what they have begun.
LONGEST_PART = 2 * LONGEST_COMMAND
UNDONE = """SELECT concat_ws(', ',
    (SELECT 'runs: ' || count(*) FROM orbit_conductorrun
        WHERE finished_at IS NULL OR is_cancelling HAVING count(*) > 0),
    (SELECT 'parents: ' || count(*) FROM orbit_conductorparent
        WHERE is_cancelling HAVING count(*) > 0),
    (SELECT 'tallies: ' || count(*) FROM orbit_conductortally HAVING count(*) > 0),
    (SELECT 'events: ' || count(*) FROM telemetry_outboxevent HAVING count(*) > 0),
    (SELECT 'operations: ' || string_agg(type, ', ') FROM governance_operationrun
        WHERE status <> 'completed' AND created_at < to_timestamp(%s) HAVING count(*) > 0))"""


@dataclass
class Fleet:
    """All processes of the scenario. Each that dies is replaced."""

    testbed: Testbed
    token: str
    chance: random.Random
    ports: list[int] = field(default_factory=lambda: [free_port(), free_port()])
    clusters: list[Member] = field(default_factory=list)
    webs: list[Member] = field(default_factory=list)
    workers: list[Member] = field(default_factory=list)
    effects: list[Path] = field(default_factory=list)
    _stopped: list[tuple[float, int]] = field(default_factory=list)

    @property
    def urls(self) -> list[str]:
        """The addresses of the web servers."""
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    def start(self) -> None:
        """Start all, and wait until they work. Raises Late."""
        self.clusters = [self._cluster() for _ in range(2)]
        self.webs = [self._web(port) for port in self.ports]
        self.wait()
        self.workers = [self._worker(number) for number in range(WORKERS)]

    def wait(self) -> None:
        """Wait until clusters and web servers are ready. Raises Late."""
        self.testbed.ready(*self.clusters)
        for url in self.urls:
            until(partial(_serves, url), LIMIT, f"{url} doesn't serve")

    def revive(self) -> None:
        """Replace what has died, and let go on what was stopped."""
        for at, pid in list(self._stopped):
            if at <= time.monotonic():
                processes.kill(pid, signal.SIGCONT)
                self._stopped.remove((at, pid))
        for place, member in enumerate(self.clusters):
            if not member.alive:
                self.clusters[place] = self._cluster()
        for place, member in enumerate(self.webs):
            if not member.alive:
                self.webs[place] = self._web(self.ports[place])
        for place, member in enumerate(self.workers):
            if not member.alive:
                self.workers[place] = self._worker(place)

    def strike(self) -> None:
        """Kill one of the processes, or all of a cluster or web server, or cut off a session."""
        testbed, pick = self.testbed, self.chance.choice
        acts: list[tuple[int, Callable[[], object]]] = [
            (5, lambda: self._kill_group(pick(self.workers))),
            (2, lambda: self._suspend(pick(self.workers))),
            (3, lambda: self._kill_one(testbed.of(pick(self.clusters), "worker"))),
            (3, lambda: self._kill_one(testbed.of(pick(self.clusters), "maintenance"))),
            (3, lambda: self._kill_one(pick(self.webs).children())),
            (3, lambda: self._cut()),
            (1, lambda: self._kill_group(pick(self.webs))),
            (1, lambda: self._kill_group(pick(self.clusters))),
            (1, lambda: self._kill_parent(pick(self.clusters))),
        ]
        self.chance.choices([act for _, act in acts], [weight for weight, _ in acts])[0]()

    def calm(self) -> None:
        """Let all go on that is stopped, and replace what is dead."""
        self._stopped = [(0.0, pid) for _, pid in self._stopped]
        self.revive()
        self.wait()

    def end(self) -> list[str]:
        """SIGTERM to all; return what didn't end in good order."""
        wrong = []
        for members, what in (
            (self.workers, "worker elsewhere"),
            (self.webs, "web server"),
            (self.clusters, "cluster"),
        ):
            for member in members:
                member.send(signal.SIGTERM)
            wrong += [
                f"a {what} ended with {member.process.returncode}: {member.log}"
                for member in members
                if member.code(LIMIT) != 0
            ]
        return wrong

    def _cluster(self) -> Member:
        return self.testbed.cluster(ORBIT_RETENTION_DAYS="30")

    def _web(self, port: int) -> Member:
        return self.testbed.cluster(
            command="web", PORT=str(port), ORBIT_WEB_WORKERS="1", ORBIT_RATE_LIMIT="1000000"
        )

    def _worker(self, number: int) -> Member:
        file = self.testbed.folder / f"effects-{len(self.effects)}"
        self.effects.append(file)
        environment = {
            "PATH": os.environ["PATH"],
            "ORBIT_URL": self.urls[number % 2],
            "ORBIT_TOKEN": self.token,
        }
        member = Member(
            database.PROJECT,
            environment,
            file.with_suffix(".log"),
            str(file),
            ("-m", "tests.chaos.elsewhere"),
        )
        self.testbed.members.append(member)
        return member

    def _suspend(self, member: Member) -> None:
        """Stop a worker for longer than its lease; it goes on as if nothing had happened."""
        self.testbed.kills += 1
        processes.kill(member.pid, signal.SIGSTOP)
        self._stopped.append((time.monotonic() + self.chance.uniform(1, 6), member.pid))

    def _kill_one(self, pids: list[int]) -> None:
        if pids:
            self.testbed.kill(self.chance.choice(pids))

    def _kill_group(self, member: Member) -> None:
        self.testbed.kills += 1
        member.send_group(signal.SIGKILL)
        member.process.wait()

    def _kill_parent(self, member: Member) -> None:
        self.testbed.kill(member.pid)
        member.process.wait()

    def _cut(self) -> None:
        self.testbed.kills += 1
        self.testbed.query(CUT)


def run(testbed: Testbed) -> None:
    """Kill workers elsewhere, clusters, web servers and commands at random while all work."""
    testbed.configure(NAMES, testbed.asking_tiers())
    testbed.query(RECORD)
    token = callers.token(callers.create_user("chaos"))
    fleet = Fleet(testbed, token, _chance(testbed, "kills"))
    fleet.start()
    testbed.monitor.start()
    over = threading.Event()
    loads = [
        Load(
            name,
            fleet.urls,
            token,
            _chance(testbed, name),
            lambda: int(testbed.value(READY)),
            over.is_set,
        )
        for name in CALLERS
    ]
    housekeeping = Housekeeping(testbed, _chance(testbed, "housekeeping"), over)
    threads = [
        *(_Part(load.run) for load in loads),
        _Part(housekeeping.run),
        _Part(partial(_cycles, testbed, over)),
    ]
    ends = time.monotonic() + testbed.load_seconds
    while time.monotonic() < ends and all(thread.is_alive() for thread in threads):
        time.sleep(fleet.chance.uniform(0.2, 1.5))
        fleet.strike()
        fleet.revive()
    over.set()
    fleet.calm()
    for thread in threads:
        thread.finish()
    _settle(testbed, fleet)
    testbed.violations += fleet.end()
    accepted = {run: kind for load in loads for run, kind in load.accepted.items()}
    audit = ConductorAudit(testbed, accepted, fleet.effects, housekeeping.forgotten)
    testbed.violations += [*audit.reconcile(), *audit.look()]
    testbed.violations += [*housekeeping.forget_cycles(), *Audit(testbed).look()]
    testbed.notes.append(audit.summary())


def _settle(testbed: Testbed, fleet: Fleet) -> None:
    moment, ends = time.time(), time.monotonic() + SETTLED
    while undone := testbed.value(UNDONE, moment):
        if time.monotonic() > ends:
            raise Late(f"left undone {SETTLED:g} s after the last kill: {undone}")
        fleet.revive()
        time.sleep(0.2)
    testbed.settle()


def _cycles(testbed: Testbed, over: threading.Event) -> None:
    """Trigger cycles, now and then while the namespace has one."""
    chance = _chance(testbed, "cycles")
    testbed.sink.delay = lambda entry: chance.choice((0, 0.01, 0.1))
    while not over.wait(chance.uniform(0.3, 1)):
        try:
            testbed.start(chance.choice(NAMES))
        except OrbitError:
            continue  # it has an active one
    connections.close_all()


def _serves(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def _chance(testbed: Testbed, what: str) -> random.Random:
    # One for each thread, so that the order in which they run changes nothing.
    return random.Random(f"{what} {testbed.chance.random()}")


class _Part(threading.Thread):
    """A part of the load. What it raises ends the scenario."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self._error = error

    def finish(self) -> None:
        """Wait for its end. Raises what it raised."""
        self.join(LONGEST_PART)
        if self.is_alive():
            raise Late(f"a part of the load doesn't end (after {LONGEST_PART:g} s)")
        if self._error is not None:
            raise self._error
