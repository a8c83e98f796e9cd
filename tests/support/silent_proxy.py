"""A proxy before PostgreSQL's socket whose connections can fall silent, without a goodbye."""

import socket
import threading
from contextlib import suppress
from pathlib import Path

_NAME = ".s.PGSQL.5432"


class SilentProxy:
    """Listens in ``folder`` and passes everything on to the server's socket in ``target``."""

    def __init__(self, folder: Path, target: str) -> None:
        self.folder = folder
        self._target = f"{target}/{_NAME}"
        self._silent: set[socket.socket] = set()
        self._open: set[socket.socket] = set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / _NAME))
        self._listener.listen(256)
        threading.Thread(target=self._accept, daemon=True).start()

    def silence(self) -> int:
        """Make the connections that exist fall silent: they lose what is sent, and stay open."""
        silenced = self._open - self._silent
        self._silent |= silenced
        return len(silenced) // 2

    def close(self) -> None:
        """Stop listening, and end all connections."""
        self._listener.close()
        for end in list(self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                self._open |= {client, server}
                for source, target in ((client, server), (server, client)):
                    threading.Thread(
                        target=self._pass_on, args=(source, target), daemon=True
                    ).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if source not in self._silent:
                    target.sendall(data)
        for end in (source, target):
            self._open.discard(end)
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
