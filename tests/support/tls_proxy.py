"""A PostgreSQL server with TLS: ends it, and passes the plain bytes to a server without.

It counts who came in clear text, which a server in the open would have let in as well.
"""

import socket
import ssl
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.support.postgres_proxy import _receive

SSL_REQUEST, GSS_REQUEST = 80877103, 80877104


class TlsProxy:
    """Listens on ``port`` of 127.0.0.1 inside ``with``."""

    def __init__(self, folder: str, context: ssl.SSLContext, *, port: int = 5432) -> None:
        #: The number of sessions with TLS and without.
        self.encrypted = 0
        self.clear = 0
        # Newer clients insist on the name of the protocol.
        context.set_alpn_protocols(["postgresql"])
        self._context = context
        self._target = f"{folder}/.s.PGSQL.{port}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for sock in (self._listener, *self._sockets):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, EOFError):
            first = _receive(client, 8)
            if struct.unpack("!II", first)[1] == GSS_REQUEST:
                client.sendall(b"N")
                first = _receive(client, 8)
            if struct.unpack("!II", first)[1] == SSL_REQUEST:
                client.sendall(b"S")
                client = self._context.wrap_socket(client, server_side=True)
                self._sockets.append(client)
                self.encrypted += 1
                first = b""
            elif first[4:] != struct.pack("!I", 80877102):  # a cancel request
                self.clear += 1
            server = socket.socket(socket.AF_UNIX)
            self._sockets.append(server)
            server.connect(self._target)
            server.sendall(first)
            threading.Thread(target=_pass_on, args=(server, client), daemon=True).start()
            _pass_on(client, server)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for sock in (source, target):
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
