"""Queue rows are only wake-ups: copied, late, deleted or unknown rows change nothing."""

import signal
import time
from pathlib import Path

from django_q.tasks import async_task

from orbit import queue
from tests.chaos.audit import Audit
from tests.chaos.fleet import LIMIT, until
from tests.chaos.stand import LEASE, Stand
from tests.support import project

NEWER = "orbit.tasks.newer"
RAN = "SELECT count(*) FROM orbit_executionrecord WHERE event = 'newer_ran'"


def doubled_late_deleted(stand: Stand, cycles: int = 30) -> None:
    """Each cycle's wake-ups are copied twenty times, put off by an hour, or deleted."""
    names = [f"q{number}" for number in range(cycles)]
    stand.configure(names)
    member = stand.cluster()
    stand.ready(member)
    stand.monitor.start()
    ways = (
        "INSERT INTO django_q_ormq (key, payload, lock) SELECT key, payload, lock"
        " FROM django_q_ormq, generate_series(1, 20) WHERE key = 'orbit.wake'",
        "UPDATE django_q_ormq SET lock = lock + interval '1 hour' WHERE key = 'orbit.wake'",
        "DELETE FROM django_q_ormq WHERE key = 'orbit.wake'",
    )
    for number, name in enumerate(names):
        # Suspend the cluster, so that no worker claims the row first.
        member.send_group(signal.SIGSTOP)
        stand.begin(name)
        stand.query(ways[number % 3])
        stand.kills += 1
        member.send_group(signal.SIGCONT)
        time.sleep(0.1)
    began = time.monotonic()
    stand.settle(LEASE + 10)
    stand.recoveries.append(time.monotonic() - began)
    stand.violations += Audit(stand).look()


def two_releases(stand: Stand, cycles: int = 20) -> None:
    """Run an old and a new release side by side: a new task waits for the new release."""
    names = [f"v{number}" for number in range(cycles)]
    stand.configure(names, stand.asking_tiers())
    old = stand.cluster()
    stand.ready(old)
    stand.monitor.start()
    async_task(NEWER, broker=queue.PgBroker(queue.QUEUE))
    put_back = "SELECT lock > now() + interval '20 seconds' FROM django_q_ormq WHERE key = %s"
    until(
        lambda: stand.one(put_back, queue.QUEUE),
        LIMIT,
        "the old release doesn't put the unknown task back",
    )
    stand.finish(stand.begin(names[0]))
    new = stand.cluster(
        project=_newer(stand.folder / "newer"), ORBIT_CONCURRENCY="2", ORBIT_LEASE_SECONDS="3"
    )
    stand.ready(new)
    releases = {row[0] for row in stand.query("SELECT release FROM orbit_clusternode")}
    if len(releases) != 2:
        stand.violations.append(f"the releases show as {releases}")
    for number, name in enumerate(names[1:]):
        stand.begin(name)
        # Instead of waiting for half a minute.
        stand.query("UPDATE django_q_ormq SET lock = now() WHERE key = %s", queue.QUEUE)
        time.sleep(0.2)
        if number % 5 == 2:
            workers = stand.of((old, new)[number % 2], "worker")
            for worker in workers[:1]:
                stand.kill(worker)
    until(lambda: stand.one(RAN), LIMIT, "the new release never got its task")
    stand.settle(LEASE + 30)
    if stand.one(RAN) != 1 or stand.one(
        "SELECT count(*) FROM django_q_ormq WHERE key = %s", queue.BAD
    ):
        stand.violations.append("the new release's task ran more than once, or was quarantined")
    stand.violations += Audit(stand).look()


def _newer(folder: Path) -> Path:
    """Copy the project as a later release with one more task."""
    copy = project.copy(folder)
    _add(copy.folder / "orbit_site" / "__init__.py", '\n__version__ = "99.0"\n')
    _add(copy.folder / "orbit" / "queue.py", f'\nTASKS.add("{NEWER}")\n')
    _add(
        copy.folder / "orbit" / "tasks.py",
        "\n\ndef newer() -> None:\n    from orbit.records import execution\n"
        '    execution.write(execution.Record("cycle", "newer_ran"), namespace=None)\n',
    )
    return copy.folder


def _add(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)
