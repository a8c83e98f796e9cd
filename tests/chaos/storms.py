"""The database fails under load: immediate stops, also during recovery, and ended sessions."""

import signal
import threading
import time
from collections.abc import Callable

import psutil

from orbit_site.processes import postgres
from tests.chaos.audit import Audit
from tests.chaos.stand import Stand

BACK = 10.0
FIRST = """SELECT min(extract(epoch FROM created_at))::float8 - %s FROM orbit_cyclecheckpoint
WHERE created_at > to_timestamp(%s)"""
CUT = """SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'orbit-%%'
ORDER BY random() LIMIT 1) AS victim"""


def server_stopped(stand: Stand, stops: int = 6, cycles: int = 600) -> None:
    """Stop the server repeatedly while cycles run, every other time again during its recovery."""
    base = stand.server.data.parent
    back: list[float] = []

    def storm(go_on: Callable[[], bool]) -> None:
        for number in range(stops):
            time.sleep(stand.chance.uniform(0.8, 2.0))
            _stop(stand)
            time.sleep(stand.chance.uniform(0, 1.0))
            postgres.ensure(base)
            if number % 2:
                time.sleep(stand.chance.uniform(0, 0.3))
                _stop(stand)
                postgres.ensure(base)
            back.append(time.time())

    _under_load(stand, storm, cycles)
    for moment in back:
        waited = stand.one(FIRST, moment, moment)
        if waited is not None:
            stand.recoveries.append(waited)
            if waited > BACK:
                stand.violations.append(
                    f"recovery: nothing went on for {waited:.1f} s after the server was back"
                )


def sessions_cut(stand: Stand, cycles: int = 150) -> None:
    """End a random session of Orbit's every tenth of a second."""

    def storm(go_on: Callable[[], bool]) -> None:
        while go_on():
            stand.query(CUT)
            stand.kills += 1
            time.sleep(stand.chance.uniform(0.05, 0.15))

    _under_load(stand, storm, cycles)


def _stop(stand: Stand) -> None:
    """Stop the server as ``pg_ctl stop -m immediate`` does; the next start recovers."""
    server = psutil.Process(int((stand.server.data / "postmaster.pid").read_text().splitlines()[0]))
    server.send_signal(signal.SIGQUIT)
    psutil.wait_procs([server], timeout=10)
    stand.kills += 1


def _under_load(stand: Stand, storm: Callable[[Callable[[], bool]], None], cycles: int) -> None:
    """Trigger up to ``cycles`` cycles until the storm ends. It may end when they do."""
    names = [f"d{number}" for number in range(cycles)]
    stand.configure(names, stand.asking_tiers())
    stand.sink.delay = lambda entry: stand.chance.choice((0, 0.01, 0.1))
    members = [stand.cluster(), stand.cluster()]
    stand.ready(*members)
    stand.monitor.start()
    done = threading.Event()
    thread = threading.Thread(target=storm, args=(lambda: not done.is_set(),), daemon=True)
    thread.start()
    for name in names:
        time.sleep(0.08 if stand.start(name) else 0.3)
        if not thread.is_alive():
            break
    done.set()
    thread.join(120)
    stand.settle(60)
    if not all(member.alive for member in members):
        stand.violations.append("a cluster ended")
    stand.violations += Audit(stand).look()
