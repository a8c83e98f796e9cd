"""The web server: a parent that owns the port, and ORBIT_WEB_WORKERS processes that answer.

Each process is granian, which reads and writes on its own threads, with our application
(``orbit_site/web/front.py``) on an event loop.
"""

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.urls import get_resolver
from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server

from orbit.conductor import claimable
from orbit.profiles import reload
from orbit_site.processes import alerts, pending_migrations, server_socket
from orbit_site.processes.forks import GRACE_SECONDS, ForkedChild, ForkedChildren, SharedPage
from orbit_site.settings import names
from orbit_site.web.front import Front, WSGIApplication

log = logging.getLogger(__name__)

#: Connections that a process keeps at the same time; a client that sends nothing has one.
CONNECTIONS = 1000
#: Threads that compute give way to the event loop this often.
SWITCH_SECONDS = 0.001
STAMP_SECONDS = 1.0
#: A thread's database connection is replaced after this time, so that its memory doesn't grow.
CONNECTION_SECONDS = 600
DRAINING = 1.0  # a phase
LAST_REQUEST_SECONDS = 1.0
# No statement of a request may take as long as the pipeline's, nor wait long for a lock.
LIMITS = "-c statement_timeout=10s -c lock_timeout=5s"


def serve() -> None:
    """Serve until SIGTERM or SIGINT, then finish running requests.

    Raises Unmigrated, PortBusy or a configuration error before it serves.
    """
    names.log_once(log)
    pending_migrations.refuse()
    reload.load_at_start()
    listener = server_socket.listen(settings.ORBIT_PORT)
    application = get_wsgi_application()
    get_resolver().url_patterns  # noqa: B018 - load the views before the fork
    # A connection that two processes share mixes up their answers: each process opens its own.
    connections.close_all()
    _limit_statements()
    _raise_file_limit()
    gc.collect()
    gc.freeze()  # keeps memory shared with the children
    _Parent(listener, application).run()


class _Parent:
    """Owns the port, keeps the processes running, and drains them."""

    def __init__(self, listener: socket.socket, application: WSGIApplication) -> None:
        self._listener = listener
        self._page = SharedPage(settings.ORBIT_WEB_WORKERS)
        children = [
            ForkedChild(
                number,
                f"web process {number + 1}",
                partial(_run, listener, application, self._page, number),
            )
            for number in range(settings.ORBIT_WEB_WORKERS)
        ]
        self._children = ForkedChildren(children, self._page, _prepare)

    def run(self) -> None:
        self._children.keep_running()
        # From now on each answer says that its connection ends. The last clients get a moment for
        # their request: one that crosses with the end of its connection would be lost.
        self._page.phase = DRAINING
        server_socket.retire(self._listener)
        self._children.wait(LAST_REQUEST_SECONDS)
        self._children.send(signal.SIGTERM)
        left = self._children.wait(settings.ORBIT_DRAIN_SECONDS + GRACE_SECONDS)
        if left:
            log.warning("Killed after ORBIT_DRAIN_SECONDS: %s.", ", ".join(left))
            self._children.kill()
        self._children.ignore_signals()


class _Server(Server):
    """Granian on a socket that exists: its own would share the port with strangers."""

    def __init__(self, front: Front, listener: int) -> None:
        super().__init__(
            front,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=False,
            backpressure=CONNECTIONS,
            # How long it waits for a head: on a new connection, and after an answer.
            http1_settings=HTTP1Settings(
                header_read_timeout=settings.ORBIT_KEEP_ALIVE_SECONDS * 1000
            ),
            # Its lines go where ours go.
            log_level=LogLevels.error,
            log_dictconfig={
                "incremental": True,
                "formatters": {},
                "handlers": {},
                "loggers": {"_granian": {"propagate": True}},
            },
        )
        self._listener = listener

    def _init_shared_socket(self) -> None:
        # Its types lag behind: the stub of the holder has no constructor.
        self._shd: Any = SocketHolder(  # type: ignore[call-arg]
            self._listener, False, server_socket.BACKLOG
        )


def _prepare(child: ForkedChild) -> None:
    # A Ctrl-C reaches the whole group; only the parent starts the drain.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Until the event loop has its handler; nothing is accepted before that.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    options = connections.settings["default"]["OPTIONS"]
    options["application_name"] = f"orbit-web {os.getpid()}"


def _run(
    listener: socket.socket, application: WSGIApplication, page: SharedPage, number: int
) -> None:
    sys.setswitchinterval(SWITCH_SECONDS)
    # A document of a megabyte has 300,000 values, and no cycles to find among them.
    gc.set_threshold(100_000, 20, 20)
    front = partial(
        Front,
        application,
        is_draining=lambda: page.phase == DRAINING,
        has_work=claimable.is_there_any,
    )
    watch = alerts.cluster_watch()

    def stamp() -> None:
        page.stamp(number)
        if number == 0:
            watch.watch()

    asyncio.run(_serve(listener.detach(), front, stamp))


async def _serve(listener: int, make_front: Callable[[], Front], stamp: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    front = make_front()
    server = _Server(front, listener)

    stop_accepting: Callable[[], None] = server.stop

    def stop() -> None:
        # One that ends itself has no parent that waits: a slow client could hold it for hours.
        loop.call_later(settings.ORBIT_DRAIN_SECONDS + GRACE_SECONDS, os._exit, 1)
        front.stop_waiting()
        stop_accepting()

    loop.add_signal_handler(signal.SIGTERM, stop)
    tasks = [asyncio.ensure_future(task) for task in (_beat(stamp), front.connections.watch())]
    await server.serve()
    for task in tasks:
        task.cancel()
    front.close()


async def _beat(stamp: Callable[[], None]) -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        stamp()
        await asyncio.sleep(STAMP_SECONDS)
    os._exit(1)  # for systems where the kernel doesn't kill us


def _limit_statements() -> None:
    place = connections.settings["default"]
    # The pools prove a connection before its use, with a deadline.
    place["CONN_HEALTH_CHECKS"] = False
    # A new one reads the catalog and plans every statement again: 20 ms for an overview.
    place["CONN_MAX_AGE"] = CONNECTION_SECONDS
    options = place["OPTIONS"]
    # Ours, those for a request, and again those in the URL: the last one counts.
    options["options"] = f"{options['options']} {LIMITS} {settings.ORBIT_URL_OPTIONS}".rstrip()


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * CONNECTIONS
    if soft < needed:
        limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
