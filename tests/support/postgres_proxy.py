"""A socket in front of PostgreSQL's that loses requests and answers on command.

It plays a pooler that restarts, or a firewall that forgets a connection. The client sees a closed
connection. The server notices nothing before it has answered.
"""

import re
import shutil
import socket
import struct
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from governance.kernel.sql import Statement

_PARAMETER = re.compile(r"%\(\w+\)s")


def pattern_of(statement: Statement) -> str:
    """Return what matches ``statement`` with any values."""
    return ".*?".join(re.escape(part) for part in _PARAMETER.split(statement.text))


def commit_of(statement: Statement | str) -> str:
    """Return what matches the COMMIT of a transaction with ``statement``."""
    part = statement if isinstance(statement, str) else pattern_of(statement)
    return f"COMMIT\n.*{part}"


class Session:
    """One client's connection, and the request that it sends now."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.request = b""
        #: The server's process.
        self.pid = 0
        self.is_cut = False
        #: The server has answered everything that was forwarded.
        self.answered = threading.Event()
        #: Texts of prepared statements by name.
        self.prepared: dict[bytes, str] = {}
        #: What was sent since BEGIN.
        self.transaction = ""

    def forward(self) -> None:
        """Send the request to the server."""
        self.answered.clear()
        request, self.request = self.request, b""
        self.server.sendall(request)

    def mute(self) -> None:
        """Drop what the server answers from now on."""
        self.is_cut = True

    def cut(self) -> None:
        """Close the client's side. The server's side stays open."""
        self.is_cut = True
        with suppress(OSError):
            self.client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close both sides."""
        for sock in (self.client, self.server):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


Fault = Callable[[Session], None]


def lose_request(session: Session) -> None:
    """The server never receives it."""
    session.cut()


def lose_answer(session: Session) -> None:
    """The server does it; the client never hears of it."""
    session.mute()
    session.forward()
    session.answered.wait(60)
    session.cut()


def cut_at_once(session: Session) -> None:
    """The client is cut off while the server does it."""
    session.mute()
    session.forward()
    session.cut()
    session.answered.wait(60)


@dataclass
class Rule:
    """Do ``fault`` to requests whose SQL matches from its start.

    ``skip`` of them pass before, and after ``times`` all do.
    """

    pattern: "re.Pattern[str]"
    fault: Fault
    skip: int = 0
    times: int = 1
    #: How often it was begun, and how often it has ended.
    done: int = 0
    ended: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def takes(self, sql: str) -> bool:
        with self.lock:
            if self.done >= self.times or not self.pattern.match(sql):
                return False
            if self.skip:
                self.skip -= 1
                return False
            self.done += 1
            return True


class PostgresProxy:
    """Listens inside ``with``; connect to ``host`` as to a folder of PostgreSQL's socket."""

    def __init__(self, target: str, *, port: int = 5432) -> None:
        self.rules: list[Rule] = []
        # Not pytest's folder: the path of a socket is short.
        self.host = tempfile.mkdtemp(prefix="orbit-px-")
        Path(self.host).chmod(0o755)
        self._target = f"{target}/.s.PGSQL.{port}"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{self.host}/.s.PGSQL.{port}")
        Path(f"{self.host}/.s.PGSQL.{port}").chmod(0o777)
        self._listener.listen(128)
        self.sessions: list[Session] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for session in self.sessions:
            session.close()
        shutil.rmtree(self.host, ignore_errors=True)

    def on(
        self,
        requests: Statement | str,
        fault: Fault,
        *,
        skip: int = 0,
        times: int = 1,
    ) -> Rule:
        """Add a rule for a statement or a regular expression."""
        text = requests if isinstance(requests, str) else pattern_of(requests)
        rule = Rule(re.compile(text, re.DOTALL), fault, skip, times)
        self.rules.append(rule)
        return rule

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self._target)
            except OSError:
                client.close()
                continue
            session = Session(client, server)
            self.sessions.append(session)
            threading.Thread(target=self._read_client, args=(session,), daemon=True).start()
            threading.Thread(target=self._read_server, args=(session,), daemon=True).start()

    def _read_client(self, session: Session) -> None:
        try:
            # The first message has no type.
            (length,) = struct.unpack("!I", head := _receive(session.client, 4))
            session.server.sendall(head + _receive(session.client, length - 4))
            sql, runs = "", False
            while True:
                kind, message = _message(session.client)
                session.request += message
                sql = _sql_of(session, kind, message[5:]) or sql
                runs = runs or kind in b"EQ"  # else it only prepares
                if kind in b"SQ":  # Sync or a simple query: the request is complete
                    if runs:
                        self._handle(session, sql)
                    else:
                        session.forward()
                    sql, runs = "", False
                elif kind in b"pXdcf":  # a password, the end, or rows of a COPY
                    session.forward()
        except (OSError, EOFError):
            pass
        if not session.is_cut:
            with suppress(OSError):
                session.server.shutdown(socket.SHUT_WR)

    def _handle(self, session: Session, sql: str) -> None:
        if sql == "COMMIT":
            sql = f"COMMIT\n{session.transaction}"
        if sql.startswith(("BEGIN", "COMMIT", "ROLLBACK")):
            session.transaction = ""
        else:
            session.transaction += f"{sql}\n"
        rule = next((rule for rule in self.rules if rule.takes(sql)), None)
        if rule is None:
            session.forward()
            return
        rule.fault(session)
        rule.ended += 1
        # The backend answers before it notices that the client has gone.
        with suppress(OSError):
            session.server.shutdown(socket.SHUT_WR)

    def _read_server(self, session: Session) -> None:
        try:
            while True:
                kind, message = _message(session.server)
                if kind == b"K":
                    (session.pid,) = struct.unpack("!I", message[5:9])
                if not session.is_cut:
                    with suppress(OSError):
                        session.client.sendall(message)
                if kind == b"Z":
                    session.answered.set()
        except (OSError, EOFError):
            pass
        session.answered.set()
        session.close()


def _sql_of(session: Session, kind: bytes, body: bytes) -> str:
    """Return the SQL that a message runs or prepares; "" if none."""
    if kind == b"Q":
        return body.rstrip(b"\0").decode("utf-8", "replace")
    if kind == b"P":
        name, text, _ = body.split(b"\0", 2)
        session.prepared[name] = text.decode("utf-8", "replace")
        return session.prepared[name]
    if kind == b"B":
        _, name, _ = body.split(b"\0", 2)
        return session.prepared.get(name, "")
    return ""


def _message(sock: socket.socket) -> tuple[bytes, bytes]:
    """Return a message's type, and the whole message."""
    head = _receive(sock, 5)
    (length,) = struct.unpack("!I", head[1:])
    return head[:1], head + _receive(sock, length - 4)


def _receive(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(min(65536, size - len(data)))
        if not piece:
            raise EOFError
        data += piece
    return data
