"""Queue rows are only wake-ups: copied, late, deleted or unknown rows change nothing."""

import signal
import time
from pathlib import Path

from django_q.tasks import async_task

from orbit import queue
from tests.chaos.audit import Audit
from tests.chaos.fleet import LIMIT, until
from tests.chaos.testbed import LEASE, Testbed
from tests.support import project

NEWER = "orbit.tasks.newer"
RAN = "SELECT count(*) FROM orbit_executionrecord WHERE event = 'newer_ran'"


def doubled_late_deleted(testbed: Testbed, cycles: int = 30) -> None:
    """Each cycle's wake-ups are copied twenty times, put off by an hour, or deleted."""
    names = [f"q{number}" for number in range(cycles)]
    testbed.configure(names)
    member = testbed.cluster()
    testbed.ready(member)
    testbed.monitor.start()
    ways = (
        "INSERT INTO django_q_ormq (key, payload, lock) SELECT key, payload, lock"
        " FROM django_q_ormq, generate_series(1, 20) WHERE key = 'orbit.wake'",
        "UPDATE django_q_ormq SET lock = lock + interval '1 hour' WHERE key = 'orbit.wake'",
        "DELETE FROM django_q_ormq WHERE key = 'orbit.wake'",
    )
    for number, name in enumerate(names):
        # Suspend the cluster, so that no worker claims the row first.
        member.suspend()
        testbed.begin(name)
        testbed.query(ways[number % 3])
        testbed.kills += 1
        member.send_group(signal.SIGCONT)
        time.sleep(0.1)
    began = time.monotonic()
    testbed.settle(LEASE + 10)
    testbed.recoveries.append(time.monotonic() - began)
    testbed.violations += Audit(testbed).look()


def two_releases(testbed: Testbed, cycles: int = 20) -> None:
    """Run an old and a new release side by side: a new task waits for the new release."""
    names = [f"v{number}" for number in range(cycles)]
    testbed.configure(names, testbed.asking_tiers())
    old = testbed.cluster()
    testbed.ready(old)
    testbed.monitor.start()
    async_task(NEWER, broker=queue.PgBroker(queue.QUEUE))
    put_back = "SELECT lock > now() + interval '20 seconds' FROM django_q_ormq WHERE key = %s"
    until(
        lambda: testbed.value(put_back, queue.QUEUE),
        LIMIT,
        "the old release doesn't put the unknown task back",
    )
    testbed.finish(testbed.begin(names[0]))
    new = testbed.cluster(
        project=_newer(testbed.folder / "newer"), ORBIT_CONCURRENCY="2", ORBIT_LEASE_SECONDS="3"
    )
    testbed.ready(new)
    releases = {row[0] for row in testbed.query("SELECT release FROM orbit_clusternode")}
    if len(releases) != 2:
        testbed.violations.append(f"the releases show as {releases}")
    for number, name in enumerate(names[1:]):
        testbed.begin(name)
        # Instead of waiting for half a minute.
        testbed.query("UPDATE django_q_ormq SET lock = now() WHERE key = %s", queue.QUEUE)
        time.sleep(0.2)
        if number % 5 == 2:
            workers = testbed.of((old, new)[number % 2], "worker")
            for worker in workers[:1]:
                testbed.kill(worker)
    until(lambda: testbed.value(RAN), LIMIT, "the new release never got its task")
    testbed.settle(LEASE + 30)
    if testbed.value(RAN) != 1 or testbed.value(
        "SELECT count(*) FROM django_q_ormq WHERE key = %s", queue.BAD
    ):
        testbed.violations.append("the new release's task ran more than once, or was quarantined")
    testbed.violations += Audit(testbed).look()


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
