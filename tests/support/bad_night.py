"""A bad night: what a console has to show at 03:00.

``python -m tests.support.bad_night`` serves one until Ctrl-C, to look at pages by hand.

* ``eu``: the cycle ``partial`` (tier 3 failed, 2 of 6 deliveries dead at aurora with 503), and 331
  dead letters in three groups: 300 of aurora, 20 of the archive, 11 of reports.
* ``us`` is well. ``apac`` is halted, and its cycle waits.
* Three proposals wait: one of the engine, one of the reviewer ``rae``, one that is stale.
* A profile differs from its file; one tick was late, one was missed.
* Whatever an outsider can fill holds ``HOSTILE``, unless another text is given.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory
from typing import Any

import django
import psycopg

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orbit_site.settings")
    django.setup()

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connections
from django.db.models.functions import Now

from advisory.proposals import create as proposals
from governance.access import tokens
from governance.access.actors import SYSTEM
from governance.kernel import clock
from governance.kernel.identifiers import uuid7
from governance.models import LoginAttempt
from governance.namespaces import halts
from orbit import tasks
from orbit.cycles.runner import WorkerProcess
from orbit.models import CronTick, DeadLetterDispatch, ValueLedgerEntry
from orbit.profiles import edit, reload
from orbit.profiles.expected import ANY
from orbit.profiles.kinds import PROFILE
from orbit.schedules.plan import Schedule
from orbit.schedules.rows import CYCLES
from orbit.schedules.sync import OF_RUN_PROFILE, sync
from orbit.states import Tick
from orbit_site.processes.postgres import Server
from telemetry.ingest import batch
from tests.support import (
    advice,
    advisory_signals,
    conductor,
    database,
    large_database,
    processes,
    telemetry_rows,
    two_weeks,
    web_server,
)
from tests.support.callers import actor_of, create_user
from tests.support.configuration import profile, run_profile, write_profiles
from tests.support.pipeline import configure_endpoints, run_cycle, start_cycle
from tests.support.polling import until
from tests.support.ports import free_port
from tests.support.receiver import Answer, http
from tests.support.sinks import Sink

HOSTILE = "\"><img src=x onerror='window.pwned=1'><script>window.pwned=2</script>{{7*7}}"
PASSWORD = "a-long-password-1"
WELL = http("200 OK", b'{"accepted": true}')
TARGETS = ("aurora", "archive", "reports")
#: Open dead letters by endpoint; two of aurora's are of the partial cycle.
LETTERS = {"aurora": 300, "archive": 20, "reports": 11}


@dataclass(frozen=True)
class Night:
    """The objects of the night, by id, and its receivers."""

    sinks: dict[str, Sink]
    partial: str  # the cycle of eu
    before: str  # eu's last good cycle
    waiting: str  # the cycle of apac
    letter: str  # one of the partial cycle's
    open_proposal: str
    own_proposal: str  # of rae
    stale_proposal: str
    token: str  # of ann, to read
    variables: dict[str, str]  # of the processes that serve it


def slowly(answer: bytes, seconds: float) -> Answer:
    """Answer after so many seconds."""

    def wait(sock: socket) -> None:
        time.sleep(seconds)
        sock.sendall(answer)

    return wait


@contextmanager
def receivers() -> Iterator[dict[str, Sink]]:
    """Listen as the endpoints, all well, and as the service that tier 3 calls."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(Sink(WELL)) for name in (*TARGETS, "enrichment")}


def reset(sinks: dict[str, Sink]) -> None:
    """Let the receivers answer as after ``create``."""
    for name, sink in sinks.items():
        sink.answer = WELL if name != "aurora" else _down(HOSTILE)
        sink.forget()


def _down(text: str) -> bytes:
    return http("503 Service Unavailable", f"down for maintenance {text}".encode())


def configure(settings: Any, folder: Path, sinks: dict[str, Sink]) -> None:
    """Give this process the settings of the night."""
    configure_endpoints(settings, **{name: sinks[name].url for name in TARGETS})
    settings.ORBIT_MAX_DISPATCH_RETRIES = 2
    settings.ORBIT_CONFIG_DIR = folder


def create(settings: Any, folder: Path, sinks: dict[str, Sink], *, text: str = HOSTILE) -> Night:
    """Create the night in the current database, whose configuration files are in ``folder``.

    ``text`` is what outsiders fill in.
    """
    configure(settings, folder, sinks)
    # Processes check passwords with Django's default hasher.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    _configure(folder, sinks["enrichment"].url, text)
    reload.load_at_start()
    users = create_users()
    before = run_cycle(start_cycle("daily-eu", _payload(1, text)))
    run_cycle(start_cycle("daily-us", _payload(2, text)))
    two_weeks.create()
    partial = _fail(sinks, text)
    waiting = start_cycle("daily-apac", _payload(4, text))
    halts.halt(
        "apac", actor=actor_of(users["ann"]), reason=f"receiver doubles orders {text}".strip()
    )
    letters = DeadLetterDispatch.objects.filter(cycle_id=partial)
    letter = letters.order_by("id")[0].pk
    _add_letters(text)
    _schedule(text)
    _tell_telemetry(text)
    own, stale, current = _propose(users["rae"], users["cas"], text)
    token = tokens.create(
        users["ann"], scopes=["read"], actor=SYSTEM, name=f"ci {text}".strip()[:90]
    )
    return Night(
        sinks=sinks,
        partial=str(partial),
        before=str(before.pk),
        waiting=str(waiting),
        letter=str(letter),
        open_proposal=current,
        own_proposal=own,
        stale_proposal=stale,
        token=token[1],
        variables={
            "ORBIT_CONFIG_DIR": str(folder),
            "ORBIT_DISPATCH_ENDPOINTS": settings.ORBIT_DISPATCH_ENDPOINTS,
            "ORBIT_DISPATCH_ALLOWED_HOSTS": "127.0.0.1",
            "ORBIT_DISPATCH_BACKOFF_BASE": "0.05",
            "ORBIT_DISPATCH_BACKOFF_CAP": "0.2",
            "ORBIT_CRON_SCHEDULE": "30 2 * * *",
        },
    )


def create_users() -> dict[str, User]:
    """Create one user of each role, and ``con``, who sees only ``us``. All have ``PASSWORD``."""
    return {
        "ann": create_user("ann", "Operator"),
        "rae": create_user("rae", "Reviewer"),
        "ray": create_user("ray", "Reviewer"),
        "cas": create_user("cas", "Configurator"),
        "vic": create_user("vic", "Viewer"),
        "adm": create_user("adm", "Administrator"),
        "con": create_user("con", "Operator", "us"),
    }


def _payload(number: int, text: str) -> bytes:
    return json.dumps({"order": number, "note": text}).encode()


def _configure(folder: Path, enrichment: str, text: str) -> None:
    tiers = {
        "3": {
            "transformer": "http",
            "options": {"url": enrichment},
            "max_attempts": 4,
            "backoff_base": 0.05,
            "timeout": 5,
        }
    }
    documents = [
        profile("daily", label=f"Daily {text}".strip(), execution_rules={"tiers": tiers}),
        profile("weekly", label="Weekly"),
    ]
    members: dict[str, Any] = {"distribution_targets": list(TARGETS), "value_tags": ["kit"]}
    run_profiles = [
        run_profile(f"daily-{name}", "daily", name, **members) for name in ("eu", "us", "apac")
    ]
    write_profiles(
        folder, documents, [*run_profiles, run_profile("weekly-us", "weekly", "us", **members)]
    )


def _fail(sinks: dict[str, Sink], text: str) -> Any:
    """Run eu's cycle of the night: tier 3 gets no answer, and aurora is down."""
    sinks["enrichment"].answer = sinks["aurora"].answer = _down(text)
    partial = start_cycle("daily-eu", _payload(3, text))
    cycle = run_cycle(partial)
    assert cycle.status == "partial_success", cycle.status
    sinks["enrichment"].answer = WELL
    return partial


def _add_letters(text: str) -> None:
    """Create the other dead letters. Those of aurora are in the partial cycle's group."""
    (example,) = DeadLetterDispatch.objects.filter(endpoint_key="aurora").order_by("id")[:1]
    aurora = (example.reason, example.last_error, example.status_code)
    two_weeks.add_letters(LETTERS["aurora"] - 2, "aurora", *aurora)
    late = ("retries_exhausted", "No answer within 10 s (timeout)", None)
    two_weeks.add_letters(LETTERS["archive"], "archive", *late)
    gone = ("gone", f"HTTP 410 {text}".strip(), 410)
    two_weeks.add_letters(LETTERS["reports"], "reports", *gone)


def _schedule(text: str) -> None:
    sync([Schedule(CYCLES, "30 2 * * *", "Europe/Berlin")])
    sync([Schedule("run-profile:daily-us", "0 */6 * * *", "UTC")], family=OF_RUN_PROFILE)
    now = clock.read().replace(second=0, microsecond=0)
    for hours, outcome, detail in (
        (9, Tick.LATE, {"max_lateness": 3600, "catch_up": True, "late_seconds": 4100}),
        (33, Tick.MISSED, {"on_missed": "skip"}),
        (57, Tick.REFUSED, {"reason": text or "eu was halted"}),
    ):
        due = now - timedelta(hours=hours)
        CronTick.objects.create(
            id=uuid7(),
            schedule=CYCLES,
            tick_key=due.isoformat(),
            due_at=due,
            outcome=outcome,
            detail=detail,
            created_at=due,
            decided_at=due,
        )


def _tell_telemetry(text: str) -> None:
    """Fill what scripts, callers and visitors can fill."""
    formula = f'=HYPERLINK("http://192.0.2.1/","click") {text}'.strip()
    telemetry_rows.create_one_of_each("eu", f"night {text}".strip()[:100])
    telemetry_rows.create_error_group("eu", formula, clock.read())
    batch.store(
        [
            batch.event(
                "task_start",
                session_id="ci-17",
                task_id="build",
                namespace="eu",
                metadata={"artifacts_declared": ["out/junit.xml"], "title": text},
            )
        ]
    )
    conductor.run(
        {"name": f"t {text}".strip()[:100], "input": {"note": text}},
        namespace="eu",
        name=f"r {text}".strip()[:100],
    )
    advisory_signals.store({("daily", "eu"): ("low_performance", 0.97)})
    for number in range(3):
        ValueLedgerEntry.objects.create(
            id=uuid7(),
            cycle_id=uuid7(),
            namespace="eu",
            kind="value",
            tag=("kit", formula[:60], text[:60] or "night")[number],
            quantity="1.5",
            unit="cycle",
        )
    LoginAttempt.objects.create(
        name=text[:100] or "vic", address="192.0.2.7", failures=5, since=Now(), ends_at=Now()
    )


def _propose(reviewer: User, configurator: User, text: str) -> tuple[str, str, str]:
    """Make the proposals; then the profile ``weekly`` moves on, which its file doesn't know."""
    patch = [{"op": "replace", "path": "/label", "value": f"Weekly, {text}".strip()[:90]}]
    stale = advice.propose(profile_id="weekly", namespace="us", patch=patch, title="Rename weekly")
    edit.save(
        PROFILE,
        "weekly",
        profile("weekly", label="Weekly, by hand"),
        actor=actor_of(configurator),
        source="admin",
        expected=ANY,
        reason=f"named by hand {text}".strip(),
    )
    slower = [
        {"op": "replace", "path": "/execution_rules/tiers/3/max_attempts", "value": 6},
        {"op": "replace", "path": "/execution_rules/tiers/3/backoff_base", "value": 2},
    ]
    current = advice.propose(
        profile_id="daily",
        namespace="eu",
        patch=slower,
        title="Retry tier 3 longer",
        rationale=f"Tier 3 failed in 6 of 85 cycles. {text}".strip(),
        evidence={"failed": 6, "cycles": 85},
    )
    own = [{"op": "add", "path": "/value_tags", "value": ["night"]}]
    made = proposals.propose(
        PROFILE,
        "daily",
        own,
        actor=actor_of(reviewer),
        rationale=f"Count the nights {text}".strip(),
        title="Count the nights",
    )
    return str(made.proposal.id), str(stale.pk), str(current.pk)


def main(arguments: list[str]) -> None:
    """Serve the night until Ctrl-C, with a web server and, if asked for, a cluster."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="a free one by default")
    parser.add_argument("--cluster", action="store_true", help="with a cluster")
    parser.add_argument("--plain", action="store_true", help="without hostile texts")
    parser.add_argument(
        "--rows",
        type=int,
        default=0,
        help="with so many cycles of the past, and ten times as many events",
    )
    options = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    text = "" if options.plain else HOSTILE
    with serving(text=text, cluster=options.cluster, rows=options.rows, port=options.port) as (
        night,
        variables,
    ):
        site = f"http://127.0.0.1:{variables['PORT']}/admin/"
        print(
            f"\n{site}  password {PASSWORD}; users adm, ann (Operator), rae and ray (Reviewer),"
            " cas (Configurator), vic (Viewer), con (Operator of us alone)"
            f"\n{site}orbit/cyclerun/{night.partial}/change/"
            f"\n{site}advisory/strategyproposal/{night.open_proposal}/change/"
            f"\nDATABASE_URL={variables['DATABASE_URL']}",
            flush=True,
        )
        with suppress(KeyboardInterrupt):
            signal.pause()


def _end(number: int, _: Any) -> None:
    # Once: a second signal must not interrupt what stops the servers.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def serving(
    *, text: str = HOSTILE, cluster: bool = False, rows: int = 0, port: int = 0
) -> Iterator[tuple[Night, dict[str, str]]]:
    """Serve a night of a database of its own; yield it and the variables of its processes."""
    with ExitStack() as stack:
        night, name, server = stack.enter_context(_own_database(rows, text))
        variables = {**os.environ, **database.environment(server, name), **night.variables}
        variables["PORT"] = str(port or free_port())
        for command in ("web", "cluster") if cluster else ("web",):
            process = subprocess.Popen(
                [sys.executable, "manage.py", command], cwd=database.PROJECT, env=variables
            )
            stack.callback(_stop, process)
        until(lambda: web_server.answers(variables), "the web server doesn't answer")
        yield night, variables


def _stop(process: "subprocess.Popen[bytes]") -> None:
    family = processes.family(process.pid)
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        for member in family:
            processes.kill(member.pid)
        process.wait()


@contextmanager
def _own_database(rows: int, text: str) -> Iterator[tuple[Night, str, Server]]:
    """Create the night in a new database, dropped at the end."""
    name = f"orbit_night_{os.getpid()}"
    server = database.start_test_server()
    settings.DATABASES["default"].update(NAME=name, HOST=server.host, USER="orbit_app")
    connections["default"].settings_dict.update(
        NAME=name, HOST=server.host, USER="orbit_app", PASSWORD="", PORT=""
    )
    connections.settings["default"].update(connections["default"].settings_dict)
    try:
        database.clone(server, name)
        if rows:
            with psycopg.connect(server.url("orbit_owner", name), autocommit=True) as owner:
                large_database.fill(owner, rows, events=10 * rows, configured=False)
        tasks.worker = WorkerProcess()
        with TemporaryDirectory() as folder, receivers() as sinks:
            yield create(settings, Path(folder), sinks, text=text), name, server
    finally:
        tasks.worker = None
        connections.close_all()
        database.drop(server, name)
        database.stop_test_server()


if __name__ == "__main__":
    main(sys.argv[1:])
