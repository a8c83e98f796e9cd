"""Report Orbit's own commands: command_start, and command_end however they end.

Their rows are inserted directly, as the pipeline's are: no consumer reads them. With a second
database they go through the outbox. A report is never in the way of its command: what the database
doesn't take at once is left out, without a word.
"""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from django.db import Error, connection, transaction

from governance.kernel import availability, clock, sql
from governance.kernel.identifiers import uuid7_text
from telemetry import emit
from telemetry.events import OWN_SESSIONS, Level, Name

RECORD = sql.load(__name__, "record_commands", table=emit.TABLE)
# Seconds are enough for an insert. Its commit needn't wait for the disk.
_BOUNDS = (
    "SELECT set_config('statement_timeout', '2s', true), set_config('lock_timeout', '1s', true), "
    "set_config('synchronous_commit', 'off', true)"
)


@contextmanager
def recorded(name: str, exit_code: Callable[[BaseException], int]) -> Iterator[None]:
    """Report the command ``name``; its arguments may hold secrets, and aren't reported.

    ``exit_code`` says how an exception ends the process.
    """
    run = _Run(name)
    error: BaseException | None = None
    run.start()
    try:
        yield
    except BaseException as raised:
        error = raised
        raise
    finally:
        if not availability.is_away(error):
            run.end(0 if error is None else exit_code(error))


class _Run:
    def __init__(self, name: str) -> None:
        self._name = name
        self._session = f"{OWN_SESSIONS}{name}:{uuid7_text()}"
        self._began = time.monotonic()
        self._is_silent = False
        self._started: dict[str, Any] = {}

    def start(self) -> None:
        connected = False
        with suppress(Error):
            connection.ensure_connection()  # also reads the database's clock
            connected = True
        self._is_silent = not connected
        self._started = self._event(Name.COMMAND_START, {"host": socket.gethostname()[:255]})
        self._record([self._started])

    def end(self, code: int) -> None:
        ended = self._event(
            Name.COMMAND_END,
            {"success": code == 0, "exit_code": code},
            level=Level.ERROR if code else Level.INFO,
            duration_ms=round((time.monotonic() - self._began) * 1000, 3),
        )
        # The start again: `restore` may have replaced the table.
        self._record([self._started, ended])

    def _event(
        self,
        name: str,
        metadata: dict[str, Any],
        *,
        level: str = Level.INFO,
        duration_ms: float | None = None,
    ) -> dict[str, Any]:
        now: datetime = clock.now()
        return {
            "id": uuid7_text(),
            "occurred_at": now.isoformat(),
            "name": name,
            "session_id": self._session,
            "level": level,
            "duration_ms": duration_ms,
            "metadata": {"command": self._name, **metadata},
        }

    def _record(self, events: list[dict[str, Any]]) -> None:
        if self._is_silent or connection.in_atomic_block:
            return
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(_BOUNDS)
                RECORD.execute(events=json.dumps(events))
        except Error:
            # Away, read-only, or not migrated yet. The command sees it too, and says so itself.
            self._is_silent = True
            with suppress(Error):
                connection.close_if_unusable_or_obsolete()
