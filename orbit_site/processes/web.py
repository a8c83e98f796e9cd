"""The web server: gunicorn, one worker of eight threads, started only over a database that is migrated."""

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
#: Beyond ORBIT_DRAIN_SECONDS, as the cluster has it: requests get to their end even where cycles get no time at all.
GRACE_SECONDS = 5
#: What gunicorn refuses before there is a request, from the special to the general.
REFUSALS = {
    faults.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    faults.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    faults.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    faults.ParseException: HTTPStatus.BAD_REQUEST,
}


def serve() -> None:
    """Serve until SIGTERM or SIGINT, finish running requests, then exit with 0.

    Raises Unmigrated, PortBusy, or what reading the configuration refuses, before anything is served.
    """
    pending_migrations.refuse()
    reload.load_at_start()
    # The worker opens its own: a connection that two processes share mixes up their answers.
    connections.close_all()
    _Master(_Application(server_socket.listen(settings.ORBIT_PORT))).run()


class _Log(glogging.Logger):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's lines through our own handlers, in our format."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True


class _Worker(ThreadWorker):  # type: ignore[misc]
    """Threads that nobody can hold: a request must be in whole within ten seconds of its first byte.

    Draining, it answers whoever got a connection, and refuses others at once rather than when the last request is done.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._reading: dict[int, tuple[float, socket.socket]] = {}

    def handle(self, conn: Any) -> Any:
        """Serve a connection, in a thread; the main thread ends its reading at the deadline."""
        self._reading[id(conn)] = (time.monotonic() + READ_SECONDS, conn.sock)
        try:
            kept = super().handle(conn)
        finally:
            self._reading.pop(id(conn), None)
        if kept and (kept is not _DEFER or self.alive):
            return kept
        # Said good-bye to in this thread: it takes up to two seconds with who doesn't hang up, and the main thread accepts nobody meanwhile.
        conn.close(graceful=True)
        conn.close = _is_closed
        return False

    def notify(self) -> None:
        """Give the sign of life, each second; end the reading of those who take too long. What is being answered isn't disturbed."""
        super().notify()
        for number, (deadline, sock) in list(self._reading.items()):
            if time.monotonic() > deadline:
                self._reading.pop(number, None)
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RD)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer what is no request as every other error: application/problem+json."""
        status = next((status for kind, status in REFUSALS.items() if isinstance(exc, kind)), None)
        if status is None:
            super().handle_error(req, client, addr, exc)
            return
        body = json.dumps(
            problem.body(
                status.value, code="bad_request", detail="This is no request that the server takes."
            ),
            default=str,
        ).encode()
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
        request_id = f"X-Request-ID: {uuid.uuid4().hex}\r\nContent-Length: {len(body)}\r\n\r\n"
        with contextlib.suppress(OSError):
            client.sendall((head + request_id).encode() + body)

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if not self.alive:
            for sock in self.sockets:
                server_socket.retire(sock, self._let_in)

    def _let_in(self, sock: socket.socket) -> bool:
        before: int = self.nr_conns
        self.accept(sock)
        return bool(self.nr_conns > before)

    def _cap_keepalive(self, deadline: float) -> None:
        # Gunicorn's own for those who asked before; those who never asked must not hold a drain for longer.
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)


class _Master(Arbiter):  # type: ignore[misc]
    """Drains at SIGINT as at SIGTERM."""

    def handle_int(self) -> None:
        self.handle_term()

    def halt(self, reason: str | None = None, exit_status: int = 0) -> None:
        """Drain and exit. Another signal adds nothing: it would cut requests off, or, as Python ends, turn a drained 0 into a -15."""
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
            # Whose X-Forwarded-Proto says how the client came. Anybody else's is left alone, and the request counts as plain http.
            "forwarded_allow_ips": ",".join(settings.ORBIT_TRUSTED_PROXIES),
            "control_socket_disable": True,
            "post_fork": functools.partial(_after_fork, os.getpid()),
            "post_worker_init": _ignore_interrupt,
            # The worker's life sign is a file; on a disk it could block.
            "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,  # noqa: S108
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return get_wsgi_application()


def _is_closed(*, graceful: bool = False) -> None:
    """Stand in for the ``close`` of a connection that is closed."""


def _after_fork(master: int, server: Any, worker: Any) -> None:
    die_with_parent(master)


def _ignore_interrupt(worker: Any) -> None:
    # A Ctrl-C reaches the whole group; the master alone says when to drain.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
