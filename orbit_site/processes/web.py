"""The web server: gunicorn, one worker of eight threads, started only over a database that is migrated."""

import functools
import os
import signal
import socket
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connections
from gunicorn import glogging
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.workers.gthread import ThreadWorker

from governance.kernel.errors import Kind, OrbitError
from orbit.profiles import reload
from orbit_site.processes import unmigrated
from orbit_site.processes.lifeline import die_with_parent

THREADS = 8


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
    """Closes its socket at once when it drains: a new connection is refused then, and doesn't hang until the last request is done."""

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
