"""``/health``: the process is up. ``/ready``: it can work."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout

from django.db import DatabaseError, InterfaceError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from governance.kernel import clock, sequences
from governance.kernel.throttled_log import ThrottledLog
from governance.rest import problem, rates
from governance.rest.caching import NO_STORE
from orbit.cycles import maintenance
from orbit.models import AppliedFiles
from orbit.records import partitions
from orbit.retention import sweep as retention
from orbit_site.web import database
from telemetry import database as telemetry
from telemetry import outbox

#: A hanging database must not hang the request: the checks run on a thread and time out.
TIMEOUT_SECONDS = 3.0
#: A check that waits for so long is given up: its connection may be silent for ever.
GIVEN_UP_SECONDS = 10.0
#: DEGRADED: it works, but an operator should look; the console's banner says at what.
OK, DEGRADED, FAILED = "ok", "degraded", "failed"
CHECKS: tuple[str, ...] = (
    *(
        "database",
        "writable",
        "migrations",
        "config",
        "partitions",
        "clock",
        "retention",
        "cluster",
    ),
    *(("telemetry",) if telemetry.IS_SEPARATE else ()),
)
logger = logging.getLogger(__name__)


@csrf_exempt
def health(request: HttpRequest) -> HttpResponse:
    """Answer 200 without a query."""
    if request.method not in {"GET", "HEAD"}:
        return problem.not_allowed(request.method, "GET, HEAD")
    return JsonResponse({"status": OK}, headers={"Cache-Control": NO_STORE})


@csrf_exempt
def ready(request: HttpRequest) -> HttpResponse:
    """Answer 200 or 503 with the result of each check."""
    if request.method not in {"GET", "HEAD"}:
        return problem.not_allowed(request.method, "GET, HEAD")
    checks = probe.results()
    needed = {name for name in checks if name != "cluster" or request.GET.get("cluster") == "1"}
    good = all(checks[name] != FAILED for name in needed)
    answer = JsonResponse(
        {"status": "ready" if good else "not_ready", "checks": checks},
        status=200 if good else 503,
        headers={"Cache-Control": NO_STORE},
    )
    # Load balancers poll this; Django would log each 503 as an error.
    answer._has_been_logged = True  # type: ignore[attr-defined]
    return answer


class Probe:
    """Runs the checks on one thread; concurrent requests share the results."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._pending: Future[dict[str, str]] | None = None
        self._began = 0.0
        self._connection: BaseDatabaseWrapper | None = None
        self._complete: set[tuple[str, str]] = set()
        self._log = ThrottledLog(logger.warning)

    def results(self) -> dict[str, str]:
        """Return OK, DEGRADED or FAILED by check."""
        with self._lock:
            if self._thread is None:
                # Created on first use, so after any fork.
                self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ready")
            if self._pending is None or self._pending.done():
                self._pending, self._began = self._thread.submit(self._check), time.monotonic()
            elif time.monotonic() - self._began > GIVEN_UP_SECONDS and self._connection is not None:
                database.cut_off(self._connection)
            pending = self._pending
        try:
            return pending.result(timeout=TIMEOUT_SECONDS)
        except FutureTimeout:
            # The check still waits for the database; later requests share it.
            return dict.fromkeys(CHECKS, FAILED)

    def _check(self) -> dict[str, str]:
        checks: dict[str, Callable[[], bool | str]] = {
            "database": _database,
            "writable": self._writable,
            "migrations": self._migrations,
            "config": _config,
            "partitions": _partitions,
            "clock": _clock,
            "retention": _retention,
            "cluster": maintenance.cluster_is_alive,
            "telemetry": self._telemetry,
        }
        results: dict[str, str] = {}
        self._connection = database.own()
        try:
            for name in CHECKS:
                try:
                    result = results.get("database") != FAILED and checks[name]()
                    results[name] = result if isinstance(result, str) else _named(result)
                except (DatabaseError, InterfaceError) as error:
                    logger.warning("not ready: %s: %s", name, str(error).strip())
                    results[name] = FAILED
        finally:
            connections.close_all()
        return results

    def _writable(self) -> str:
        rates.probe()
        used = sequences.nearly_used()
        for name in used:
            self._log.report(name, "nearly out of numbers; see docs/operations.md")
        return DEGRADED if used else OK

    def _telemetry(self) -> str:
        # By the outbox. That database itself isn't asked: no request waits for it.
        backlog = outbox.backlog(most=1)
        if not backlog.needs_a_look:
            return OK
        self._log.report("telemetry's database takes no events", backlog.problem or "they wait")
        return DEGRADED

    def _migrations(self) -> bool:
        # A full look takes long. While the same rows are there, it would say the same.
        applied = set(MigrationRecorder(connection).applied_migrations())
        if not self._complete or applied != self._complete:
            executor = MigrationExecutor(connection)
            pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
            self._complete = set() if pending else applied
        return bool(self._complete)


def _database() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return True


def _config() -> bool:
    return AppliedFiles.objects.filter(id=1).exclude(sha256="").exists()


def _partitions() -> str:
    states = partitions.states()
    if not all(state.takes_rows for state in states):
        return FAILED
    return OK if all(state.made and not state.default_used for state in states) else DEGRADED


def _clock() -> str:
    clock.refresh()
    # Nothing is decided by a host's clock, so a wrong one stops nothing.
    wrong = abs(clock.host_ahead()) > clock.TOLERATED_SECONDS or maintenance.wrong_clocks()
    return DEGRADED if wrong else OK


def _retention() -> str:
    return DEGRADED if retention.lag_seconds() > retention.LAG_TOLERATED_SECONDS else OK


def _named(passed: bool) -> str:
    return OK if passed else FAILED


probe = Probe()
