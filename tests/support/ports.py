"""Ports for servers that a test starts later."""

import random
import socket

# Below the ports that systems give to outgoing connections, which tests make by the thousand.
_NUMBERS = range(20_000, 32_000)
# UDP sockets, which keep other test processes from choosing the same number.
_claims: list[socket.socket] = []


def free_port() -> int:
    """Return a free port; no other test process gets it while this one runs."""
    while True:
        port = random.choice(_NUMBERS)
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", port))
            socket.create_server(("", port)).close()
        except OSError:  # it is taken
            claim.close()
        else:
            _claims.append(claim)
            return port
