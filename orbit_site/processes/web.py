"""The web server: gunicorn with one worker of eight threads."""

import contextlib
import functools
import json
import os
import signal
import socket
import time
import uuid
from http import HTTPStatus
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connections
from gunicorn import glogging
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.http import errors as faults
from gunicorn.workers.gthread import _DEFER, ThreadWorker

from governance.rest import problem
from orbit.profiles import reload
from orbit_site.processes import pending_migrations, server_socket
from orbit_site.processes.parent_death import die_with_parent

THREADS = 8
READ_SECONDS = 10.0
#: After ORBIT_DRAIN_SECONDS, as in the cluster: requests may finish even if that is 0.
GRACE_SECONDS = 5
#: Refusals of gunicorn before there is a request, most specific first.
REFUSALS = {
    faults.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    faults.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    faults.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    faults.ParseException: HTTPStatus.BAD_REQUEST,
}


def serve() -> None:
    """Serve until SIGTERM or SIGINT, then finish running requests.

    Raises Unmigrated, PortBusy or a configuration error before it serves.
    """
    pending_migrations.refuse()
    reload.load_at_start()
    # A connection that two processes share mixes up their answers: the worker opens its own.
    connections.close_all()
    _Master(_Application(server_socket.listen(settings.ORBIT_PORT))).run()


class _Log(glogging.Logger):  # type: ignore[misc]  # gunicorn has no types
    """Sends gunicorn's log lines through our handlers."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True


class _Worker(ThreadWorker):  # type: ignore[misc]
    """A thread worker that slow clients can't block.

    When draining, it answers accepted connections and refuses new ones at once.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._reading: dict[int, tuple[float, socket.socket]] = {}

    def handle(self, conn: Any) -> Any:
        self._reading[id(conn)] = (time.monotonic() + READ_SECONDS, conn.sock)
        try:
            kept = super().handle(conn)
        finally:
            self._reading.pop(id(conn), None)
        if kept and (kept is not _DEFER or self.alive):
            return kept
        # Close it in this thread: a client that doesn't hang up takes two seconds, in which the
        # main thread couldn't accept.
        conn.close(graceful=True)
        conn.close = _is_closed
        return False

    def notify(self) -> None:
        super().notify()
        for number, (deadline, sock) in list(self._reading.items()):
            if time.monotonic() > deadline:
                self._reading.pop(number, None)
                # The thread that reads sees the end of the request.
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RD)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        status = next((status for kind, status in REFUSALS.items() if isinstance(exc, kind)), None)
        if status is None:
            super().handle_error(req, client, addr, exc)
            return
        detail = "The server can't read this request."
        document = problem.body(status.value, code="bad_request", detail=detail)
        body = json.dumps(document, default=str).encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\n"
            "Content-Type: application/problem+json\r\n"
        )
        request_id = f"X-Request-ID: {uuid.uuid4().hex}\r\nContent-Length: {len(body)}\r\n\r\n"
        with contextlib.suppress(OSError):
            client.sendall((head + request_id).encode() + body)

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if not self.alive:
            for sock in self.sockets:
                server_socket.retire(sock, self._accept_one)

    def _accept_one(self, sock: socket.socket) -> bool:
        before: int = self.nr_conns
        self.accept(sock)
        return bool(self.nr_conns > before)

    def _cap_keepalive(self, deadline: float) -> None:
        # Gunicorn caps idle connections that have had a request; cap those without one too.
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)


class _Master(Arbiter):  # type: ignore[misc]
    """Drains at SIGINT as at SIGTERM."""

    def handle_int(self) -> None:
        self.handle_term()

    def halt(self, reason: str | None = None, exit_status: int = 0) -> None:
        # Further signals would cut requests off.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        super().halt(reason, exit_status)


class _Application(BaseApplication):  # type: ignore[misc]
    def __init__(self, sock: socket.socket) -> None:
        self._listener = sock.detach()  # gunicorn closes it
        super().__init__()

    def load_config(self) -> None:
        options = {
            "bind": f"fd://{self._listener}",
            "workers": 1,
            "threads": THREADS,
            "worker_class": _Worker,
            "preload_app": True,
            "graceful_timeout": settings.ORBIT_DRAIN_SECONDS + GRACE_SECONDS,
            "timeout": 60,
            "keepalive": 15,
            "logger_class": _Log,
            "loglevel": "warning",
            # X-Forwarded-Proto is used from these only; other requests count as plain http.
            "forwarded_allow_ips": ",".join(settings.ORBIT_TRUSTED_PROXIES),
            "control_socket_disable": True,
            "post_fork": functools.partial(_after_fork, os.getpid()),
            "post_worker_init": _ignore_interrupt,
            # The worker's heartbeat is a file; on a disk it could block.
            "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,  # noqa: S108
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return get_wsgi_application()


def _is_closed(*, graceful: bool = False) -> None:
    pass


def _after_fork(master: int, server: Any, worker: Any) -> None:
    die_with_parent(master)


def _ignore_interrupt(worker: Any) -> None:
    # A Ctrl-C reaches the whole group; only the master starts the drain.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
