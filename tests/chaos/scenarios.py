"""The scenarios by name. Each runs on its own database, within its time."""

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from orbit_site.processes import postgres
from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server
from tests.chaos import (
    answers,
    clocks,
    conductor,
    deaths,
    disk,
    drains,
    poison,
    rows,
    storms,
    sweep,
    zombies,
)
from tests.chaos.audit import Audit
from tests.chaos.fleet import Late
from tests.chaos.report import Result
from tests.chaos.testbed import Testbed, fresh_database, open_testbed, use_database

SHARED, OWN, VOLUME = "the test server", "a server of its own", "a server on a small volume"


@dataclass(frozen=True)
class Scenario:
    """What to do, on which server, and the limit in seconds.

    ``load_seconds``: the load goes on for so long, unless the command line says otherwise; the
    limit begins after it.
    """

    act: Callable[[Testbed], None]
    place: str = SHARED
    seconds: int = 120
    load_seconds: int = 0


SCENARIOS: dict[str, Scenario] = {
    "sweep": Scenario(sweep.run, seconds=420),
    "moments": Scenario(sweep.moments),
    "zombie-tier": Scenario(zombies.in_a_tier),
    "zombie-before-send": Scenario(zombies.before_sending),
    "zombie-after-answer": Scenario(zombies.after_the_answer),
    "idle-workers": Scenario(deaths.idle_workers),
    "supervisor": Scenario(deaths.supervisor),
    "group-term": Scenario(deaths.group_term),
    "one-host": Scenario(deaths.one_host),
    "drain": Scenario(drains.drain),
    "rolling-restart": Scenario(drains.rolling_restart),
    "server-stopped": Scenario(storms.server_stopped, OWN, 180),
    "read-only-primary": Scenario(storms.primary_read_only, OWN, 180),
    "sessions-cut": Scenario(storms.sessions_cut, seconds=180),
    "lost-answers": Scenario(answers.lost_answers, seconds=240),
    "silent-connections": Scenario(storms.connections_silent, seconds=180),
    "queue-rows": Scenario(rows.doubled_late_deleted),
    "two-releases": Scenario(rows.two_releases),
    "poison": Scenario(poison.poison),
    "clock-jump": Scenario(clocks.jump, seconds=240),
    "conductor": Scenario(conductor.run, seconds=900, load_seconds=60),
    "full-disk": Scenario(disk.full, VOLUME, 180),
}


def run(
    name: str, server: Server, folder: Path, seed: int, *, load_seconds: int | None = None
) -> Result:
    """Run a scenario. An exception is a violation; then the folder is kept."""
    scenario, began = SCENARIOS[name], time.monotonic()
    lasts = scenario.load_seconds
    if lasts and load_seconds is not None:
        lasts = load_seconds
    folder.mkdir()
    testbed: Testbed | None = None
    result = Result(name)
    with ExitStack() as stack:
        try:
            stack.enter_context(_within(scenario.seconds + lasts, name))
            place, database = stack.enter_context(_place(scenario.place, server, folder))
            # `up` lets no superuser into its server.
            role = "orbit_owner" if scenario.place == VOLUME else SUPERUSER
            testbed = stack.enter_context(open_testbed(place, database, folder, seed, role=role))
            testbed.load_seconds = lasts
            scenario.act(testbed)
        except disk.Unmountable as why:
            result.skipped = str(why)
        except Exception as error:
            result.violations.append(f"{type(error).__name__}: {error}")
            if testbed is not None:
                with suppress(Exception):
                    testbed.violations += Audit(testbed).look()
        if testbed is not None:
            _copy_results(result, testbed)
            if result.violations:
                testbed.sink.write(folder / "sink.jsonl")
    result.seconds = time.monotonic() - began
    if not result.violations:
        shutil.rmtree(folder, ignore_errors=True)
    return result


def _copy_results(result: Result, testbed: Testbed) -> None:
    result.kills, result.cycles, result.deliveries = (
        testbed.kills,
        len(testbed.accepted),
        len(testbed.sink.deliveries()),
    )
    result.lost, result.doubled, result.notes = testbed.lost, testbed.doubled, testbed.notes
    result.recovery = max(testbed.recoveries, default=None)
    result.violations = [*testbed.violations, *result.violations]


@contextmanager
def _place(kind: str, server: Server, folder: Path) -> Iterator[tuple[Server, str]]:
    with ExitStack() as stack:
        if kind == VOLUME:
            small = stack.enter_context(disk.volume(folder))
            use_database(small, "orbit")
            yield small, "orbit"
            return
        if kind == OWN:
            # With the production settings: a commit is flushed to disk.
            server = stack.enter_context(postgres.held(folder / "database", superuser=True))
        yield (
            server,
            stack.enter_context(fresh_database(server, f"chaos_{folder.name}".replace("-", "_"))),
        )


@contextmanager
def _within(seconds: int, name: str) -> Iterator[None]:
    """Raise Late in this thread, the main one, if the block takes longer."""

    def late(number: int, frame: FrameType | None) -> None:
        raise Late(f"{name} isn't over (after {seconds} s)")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
