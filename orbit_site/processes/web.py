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
from gunicorn.workers.gthread import ThreadWorker

from governance.kernel.errors import Kind, OrbitError
from governance.rest import problem
from orbit.profiles import reload
from orbit_site.processes import unmigrated
from orbit_site.processes.lifeline import die_with_parent

THREADS = 8
READ_SECONDS = 10.0
#: What gunicorn refuses before there is a request, from the special to the general.
REFUSALS = {
    faults.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    faults.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    faults.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    faults.ParseException: HTTPStatus.BAD_REQUEST,
}


class PortBusy(OrbitError):
    """Another program listens on the port."""

    code, kind = "port_busy", Kind.UNAVAILABLE


def serve() -> None:
    """Serve until SIGTERM or SIGINT, finish running requests, then exit with 0.

    Raises Unmigrated, PortBusy, or what reading the configuration refuses, before anything is served.
    """
    unmigrated.refuse()
    reload.load_at_start()
    # The worker opens its own: a connection that two processes share mixes up their answers.
    connections.close_all()
    _Master(_Application(listen(settings.ORBIT_PORT))).run()


def address() -> str:
    """Return where to listen: everywhere in production, where a proxy or a container's network is in front; else on this machine alone."""
    return "0.0.0.0" if settings.ORBIT_ENV == "production" else "127.0.0.1"  # noqa: S104


def listen(port: int) -> socket.socket:
    """Return a listening socket on ``port``. Raises PortBusy with what to do."""
    try:
        return socket.create_server((address(), port), backlog=512)
    except OSError as error:
        raise PortBusy(f"Can't listen on {address()}:{port}: {error.strerror}. Stop what uses it, or set PORT to another number (PORT=3001).") from error


class _Log(glogging.Logger):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's lines through our own handlers, in our format."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True


class _Worker(ThreadWorker):  # type: ignore[misc]
    """Threads that nobody can hold: a request must be in whole within ten seconds of its first byte.

    It closes its socket at once when it drains: a new connection is refused then, and doesn't hang until the last request is done.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._reading: dict[int, tuple[float, socket.socket]] = {}

    def handle(self, conn: Any) -> Any:
        """Serve a connection, in a thread; the main thread ends its reading at the deadline."""
        self._reading[id(conn)] = (time.monotonic() + READ_SECONDS, conn.sock)
        try:
            return super().handle(conn)
        finally:
            self._reading.pop(id(conn), None)

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
        body = json.dumps(problem.body(status.value, code="bad_request", detail="This is no request that the server takes."), default=str).encode()
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
        request_id = f"X-Request-ID: {uuid.uuid4().hex}\r\nContent-Length: {len(body)}\r\n\r\n"
        with contextlib.suppress(OSError):
            client.sendall((head + request_id).encode() + body)

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if not self.alive:
            for listener in self.sockets:
                listener.close()


class _Master(Arbiter):  # type: ignore[misc]
    """Drains at SIGINT as at SIGTERM."""

    def handle_int(self) -> None:
        self.handle_term()


class _Application(BaseApplication):  # type: ignore[misc]
    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener.detach()  # gunicorn closes it
        super().__init__()

    def load_config(self) -> None:
        options = {
            "bind": f"fd://{self._listener}", "workers": 1, "threads": THREADS, "worker_class": _Worker, "preload_app": True,
            "graceful_timeout": settings.ORBIT_DRAIN_SECONDS, "timeout": 60, "keepalive": 15, "logger_class": _Log, "loglevel": "warning",
            "control_socket_disable": True, "post_fork": functools.partial(_after_fork, os.getpid()), "post_worker_init": _ignore_interrupt,
            # The worker's life sign is a file; on a disk it could block.
            "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,  # noqa: S108
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return get_wsgi_application()


def _after_fork(master: int, server: Any, worker: Any) -> None:
    die_with_parent(master)


def _ignore_interrupt(worker: Any) -> None:
    # A Ctrl-C reaches the whole group; the master alone says when to drain.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
