"""``/health``: the process is up. ``/ready``: it can work."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong

from django.db import DatabaseError, connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from governance.rest import problem
from orbit.cycles import maintenance
from orbit.models import AppliedFiles

#: A database that hangs answers nobody, so the question is asked beside the request and given up after this long.
PATIENCE_SECONDS = 3.0
OK, FAILED = "ok", "failed"
logger = logging.getLogger(__name__)


@csrf_exempt
def health(request: HttpRequest) -> HttpResponse:
    """Answer 200 whenever the process can answer at all; nothing is asked of the database."""
    if request.method not in {"GET", "HEAD"}:
        return problem.not_allowed(request.method, "GET, HEAD")
    return JsonResponse({"status": OK})


@csrf_exempt
def ready(request: HttpRequest) -> HttpResponse:
    """Answer 200 when database, migrations and configuration are there, with ``?cluster=1`` a live cluster too; else 503. Names no details."""
    if request.method not in {"GET", "HEAD"}:
        return problem.not_allowed(request.method, "GET, HEAD")
    checks = _probe.ask()
    needed = {name for name in checks if name != "cluster" or request.GET.get("cluster") == "1"}
    good = all(checks[name] == OK for name in needed)
    answer = JsonResponse(
        {"status": "ready" if good else "not_ready", "checks": checks}, status=200 if good else 503
    )
    # Not ready is an answer to a question asked again and again, no fault of a request: Django would log each as an error.
    answer._has_been_logged = True  # type: ignore[attr-defined]
    return answer


class _Probe:
    """Asks the checks on one thread of its own; while an answer is outstanding nobody else is sent after it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._asked: Future[dict[str, str]] | None = None
        self._migrated = False

    def ask(self) -> dict[str, str]:
        with self._lock:
            if self._thread is None:
                # Made at the first question, hence after any fork.
                self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ready")
            if self._asked is None or self._asked.done():
                self._asked = self._thread.submit(self._look)
            asked = self._asked
        try:
            return asked.result(timeout=PATIENCE_SECONDS)
        except TookTooLong:
            return dict.fromkeys(("database", "migrations", "config", "cluster"), FAILED)

    def _look(self) -> dict[str, str]:
        checks: dict[str, Callable[[], bool]] = {
            "database": _database, "migrations": self._migrations, "config": _config, "cluster": maintenance.cluster_is_alive,
        }  # fmt: skip
        found: dict[str, str] = {}
        try:
            for name, check in checks.items():
                try:
                    found[name] = OK if found.get("database") != FAILED and check() else FAILED
                except DatabaseError as error:
                    logger.warning("not ready: %s: %s", name, str(error).strip())
                    found[name] = FAILED
        finally:
            connections.close_all()
        return found

    def _migrations(self) -> bool:
        # What is applied stays applied: asked until it is.
        if not self._migrated:
            executor = MigrationExecutor(connection)
            self._migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        return self._migrated


def _database() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return True


def _config() -> bool:
    return AppliedFiles.objects.filter(id=1).exclude(sha256="").exists()


_probe = _Probe()
