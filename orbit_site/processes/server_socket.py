"""The web server's socket, closed without losing a connection.

Closing a listening socket resets connections that the kernel accepted, but we didn't. So the kernel
first drops new ones, then we accept those that exist, then we close.
"""

import ctypes
import select
import socket
import struct
import sys
import time

from django.conf import settings

from governance.kernel.errors import Kind, OrbitError
from orbit_site.processes import listen_problem

BACKLOG = 512
#: Long enough for a handshake that has begun to finish, over a network too.
SETTLE_SECONDS = 0.25
#: The processes that accept may be at their limit of connections.
LONGEST_SECONDS = 2.0
#: Clients that take nothing of what was sent are cut off by the kernel after this time. Accepted
#: connections inherit it.
UNTAKEN_MILLISECONDS = 60_000
_LOOK_SECONDS = 0.01
_ATTACH_FILTER = 26
# A classic BPF filter on the TCP header: load the flags, drop packets with SYN but without ACK.
_NO_NEW_CONNECTIONS = [
    (0x30, 0, 0, 13),
    (0x54, 0, 0, 0x12),
    (0x15, 0, 1, 0x02),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFFFFFF),
]


class PortBusy(OrbitError):
    """Another program listens on the port."""

    code, kind = "port_busy", Kind.UNAVAILABLE


def listen(port: int) -> socket.socket:
    """Listen on ``port`` of ORBIT_BIND. Raises PortBusy."""
    address = settings.ORBIT_BIND
    try:
        listener = socket.create_server(
            (address, port),
            family=socket.AF_INET6 if ":" in address else socket.AF_INET,
            backlog=BACKLOG,
        )
    except OSError as error:
        advice = listen_problem.advice(
            error, address, port, other_port="set PORT to another number (PORT=3001)"
        )
        raise PortBusy(f"Can't listen on {address}:{port}: {error.strerror}. {advice}") from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNTAKEN_MILLISECONDS)
    return listener


def retire(listener: socket.socket) -> None:
    """Close ``listener`` once the processes that share it have accepted what the kernel has."""
    settled_at = time.monotonic() + (SETTLE_SECONDS if _refuse_new(listener) else 0.0)
    until = settled_at + LONGEST_SECONDS
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while (now := time.monotonic()) < until and (now < settled_at or poll.poll(0)):
        time.sleep(_LOOK_SECONDS)
    listener.close()


def _refuse_new(listener: socket.socket) -> bool:
    """Make the kernel drop new connections; return False if it can't."""
    if sys.platform != "linux":
        return False
    code = ctypes.create_string_buffer(
        b"".join(struct.pack("HBBI", *line) for line in _NO_NEW_CONNECTIONS)
    )
    try:
        listener.setsockopt(
            socket.SOL_SOCKET,
            _ATTACH_FILTER,
            struct.pack("HL", len(_NO_NEW_CONNECTIONS), ctypes.addressof(code)),
        )
    except OSError:
        return False
    return True
