"""The database fails under load: stops, also during recovery, ended sessions, no writes."""

import signal
import threading
import time
from collections.abc import Callable

import psutil
import requests

from orbit_site.processes import postgres
from tests.chaos.audit import Audit
from tests.chaos.fleet import LIMIT, until
from tests.chaos.testbed import Testbed
from tests.support import callers, processes
from tests.support.ports import free_port
from tests.support.silent_proxy import SilentProxy

BACK = 10.0
FIRST = """SELECT min(extract(epoch FROM created_at))::float8 - %s FROM orbit_cyclecheckpoint
WHERE created_at > to_timestamp(%s)"""
CUT = """SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'orbit-%%'
ORDER BY random() LIMIT 1) AS victim"""


def server_stopped(testbed: Testbed, stops: int = 6, cycles: int = 600) -> None:
    """Stop the server repeatedly while cycles run, every other time again during its recovery."""
    base = testbed.server.data.parent
    back: list[float] = []

    def storm(go_on: Callable[[], bool]) -> None:
        for number in range(stops):
            time.sleep(testbed.chance.uniform(0.8, 2.0))
            _stop(testbed)
            time.sleep(testbed.chance.uniform(0, 1.0))
            postgres.ensure(base, superuser=True)
            if number % 2:
                time.sleep(testbed.chance.uniform(0, 0.3))
                _stop(testbed)
                postgres.ensure(base, superuser=True)
            back.append(time.time())

    _under_load(testbed, storm, cycles)
    _check_recovery(testbed, back)


def primary_read_only(testbed: Testbed, turns: int = 6, cycles: int = 300) -> None:
    """Make the server read-only repeatedly while cycles run: it answers, and accepts no writes."""
    back: list[float] = []

    def storm(go_on: Callable[[], bool]) -> None:
        for _ in range(turns):
            time.sleep(testbed.chance.uniform(0.8, 2.0))
            _set_read_only(testbed, "on")
            testbed.kills += 1
            time.sleep(testbed.chance.uniform(0.5, 3.0))
            _set_read_only(testbed, "off")
            back.append(time.time())

    _under_load(testbed, storm, cycles)
    _check_recovery(testbed, back)


def _set_read_only(testbed: Testbed, state: str) -> None:
    testbed.query(f"ALTER SYSTEM SET default_transaction_read_only = {state}")
    testbed.query("SELECT pg_reload_conf()")


def _check_recovery(testbed: Testbed, back: list[float]) -> None:
    for moment in back:
        waited = testbed.value(FIRST, moment, moment)
        if waited is not None:
            testbed.recoveries.append(waited)
            if waited > BACK:
                testbed.violations.append(
                    f"recovery: nothing went on for {waited:.1f} s after the server was back"
                )


def sessions_cut(testbed: Testbed, cycles: int = 150) -> None:
    """End a random session of Orbit's every tenth of a second."""

    def storm(go_on: Callable[[], bool]) -> None:
        while go_on():
            testbed.query(CUT)
            testbed.kills += 1
            time.sleep(testbed.chance.uniform(0.05, 0.15))

    _under_load(testbed, storm, cycles)


def connections_silent(testbed: Testbed, times: int = 2, cycles: int = 400) -> None:
    """All database connections fall silent without a goodbye; new ones work. A halt still works."""
    folder = testbed.folder / "proxy"
    folder.mkdir()
    proxy = SilentProxy(folder, testbed.server.host)
    url = testbed.server.url("orbit_app", testbed.name)
    variables = {"DATABASE_URL": url.replace(testbed.server.host, str(folder))}
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    testbed.cluster(command="web", PORT=str(port), **variables)
    until(lambda: _status(f"{address}/health") == 200, LIMIT, "the web server doesn't serve")
    headers = {"Authorization": f"Bearer {callers.token(callers.create_user('stopper'))}"}

    def storm(go_on: Callable[[], bool]) -> None:
        for number in range(times):
            time.sleep(testbed.chance.uniform(1.0, 2.0))
            testbed.kills += proxy.silence()
            for step in ("halt", "resume"):
                began = time.monotonic()
                path = f"{address}/governance/namespaces/n-d{number}/{step}"
                answer = requests.post(
                    path, json={"reason": "silence"}, headers=headers, timeout=60
                )
                seconds = time.monotonic() - began
                if answer.status_code != 200:
                    testbed.violations.append(f"a {step} was answered {answer.status_code}")
                testbed.promise(seconds, 1.0, f"a {step} on silent connections")

    try:
        _under_load(testbed, storm, cycles, **variables)
    finally:
        proxy.close()


def _status(url: str) -> int:
    try:
        return requests.get(url, timeout=5).status_code
    except requests.RequestException:
        return 0


def _stop(testbed: Testbed) -> None:
    """Stop the server as ``pg_ctl stop -m immediate`` does; the next start recovers."""
    server = processes.postmaster(testbed.server)
    processes.kill(server.pid, signal.SIGQUIT)
    psutil.wait_procs([server], timeout=10)
    testbed.kills += 1


def _under_load(
    testbed: Testbed,
    storm: Callable[[Callable[[], bool]], None],
    cycles: int,
    **variables: str,
) -> None:
    """Trigger up to ``cycles`` cycles until the storm ends. It may end when they do."""
    names = [f"d{number}" for number in range(cycles)]
    testbed.configure(names, testbed.asking_tiers())
    testbed.sink.delay = lambda entry: testbed.chance.choice((0, 0.01, 0.1))
    members = [testbed.cluster(**variables), testbed.cluster(**variables)]
    testbed.ready(*members)
    testbed.monitor.start()
    done = threading.Event()
    thread = threading.Thread(target=storm, args=(lambda: not done.is_set(),), daemon=True)
    thread.start()
    for name in names:
        time.sleep(0.08 if testbed.start(name) else 0.3)
        if not thread.is_alive():
            break
    done.set()
    thread.join(120)
    testbed.settle(60)
    if not all(member.alive for member in members):
        testbed.violations.append("a cluster ended")
    testbed.violations += Audit(testbed).look()
