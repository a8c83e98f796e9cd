"""The web server's socket, closed without losing a connection.

Closing a listening socket resets connections that the kernel accepted, but we didn't. So the kernel
first drops new ones, then we accept those that exist, then we close.
"""

import ctypes
import socket
import struct
import sys
import time
from collections.abc import Callable

from django.conf import settings

from governance.kernel.errors import Kind, OrbitError

BACKLOG = 512
#: Long enough for a handshake that has begun to finish, over a network too.
SETTLE_SECONDS = 0.25
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
        return socket.create_server(
            (address, port),
            family=socket.AF_INET6 if ":" in address else socket.AF_INET,
            backlog=BACKLOG,
        )
    except OSError as error:
        raise PortBusy(
            f"Can't listen on {address}:{port}: {error.strerror}. "
            "Stop the program that uses it, or set PORT to another number (PORT=3001)."
        ) from error


def retire(listener: socket.socket, accept: Callable[[socket.socket], bool]) -> None:
    """Close ``listener`` once ``accept`` returns False: no connection is left."""
    until = time.monotonic() + (SETTLE_SECONDS if _refuse_new(listener) else 0.0)
    while True:
        if accept(listener):
            continue
        if time.monotonic() >= until:
            break
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
