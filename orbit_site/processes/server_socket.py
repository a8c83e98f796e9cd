"""The web server's socket: opened where the settings say, and retired so that nobody who got through is turned away.

A listening socket that is closed resets the connections that the kernel has accepted on its behalf, and their requests with them. So it is
retired in three steps: from now on the kernel drops what asks for a new connection; those that are in, or about to be, are accepted;
then the socket is closed. Who was dropped asks again after a second, by itself, and is refused then.
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
#: Long enough for the last step of a connection that has begun, over a network too.
SETTLE_SECONDS = 0.25
_LOOK_SECONDS = 0.01
_ATTACH_FILTER = 26
# A classic packet filter over the TCP header: load the flags, keep SYN and ACK, drop what has SYN alone.
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
    """Return a listening socket on ``port`` of ORBIT_BIND. Raises PortBusy with what to do."""
    address = settings.ORBIT_BIND
    try:
        return socket.create_server(
            (address, port),
            family=socket.AF_INET6 if ":" in address else socket.AF_INET,
            backlog=BACKLOG,
        )
    except OSError as error:
        raise PortBusy(
            f"Can't listen on {address}:{port}: {error.strerror}. Stop what uses it, or set PORT to another number (PORT=3001)."
        ) from error


def retire(listener: socket.socket, accept: Callable[[socket.socket], bool]) -> None:
    """Close ``listener`` once ``accept`` has taken everybody whom the kernel let in; it takes one, or returns False at once when nobody waits."""
    until = time.monotonic() + (SETTLE_SECONDS if _refuse_new(listener) else 0.0)
    while True:
        if accept(listener):
            continue
        if time.monotonic() >= until:
            break
        time.sleep(_LOOK_SECONDS)
    listener.close()


def _refuse_new(listener: socket.socket) -> bool:
    """Have the kernel drop whoever asks for a new connection; False where it can't."""
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
