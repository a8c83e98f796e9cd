"""Running a dump inside a transaction of ours, so that what is checked afterwards commits with it, or nothing does.

``pg_restore`` turns the dump into its script: statements, and rows between ``COPY ... FROM stdin;`` and ``\\.``. A script is what psql would run;
here it goes through the connection that holds the transaction.
"""

import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import psycopg
from django.conf import settings
from django.db import connection
from psycopg.errors import InsufficientPrivilege

from governance.kernel.errors import Kind, OrbitError

PIECE = 1 << 18
# Known to servers from 17 on; ours is off anyway.
TOO_NEW = b"SET transaction_timeout = 0;\n"


class RestoreFailed(OrbitError):
    """The database didn't take the backup."""

    code, kind = "restore_failed", Kind.UNAVAILABLE


def run(program: Path, dump: Iterable[bytes]) -> None:
    """Run the script of ``dump`` on the connection, in the transaction that is open; ``program`` is pg_restore.

    Owners and grants of the old place stay out: everything belongs to the connected role. Raises RestoreFailed with what the database or
    pg_restore said, and whatever reading ``dump`` raises; the transaction must be rolled back then. Memory holds one row at a time.
    """
    command = [
        str(program),
        "--no-owner",
        "--no-acl",
        "--exit-on-error",
        f"--schema={settings.ORBIT_DATABASE_SCHEMA}",
        "--file=-",
    ]
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints
        )
        assert process.stdin is not None  # noqa: S101 - they are pipes
        assert process.stdout is not None  # noqa: S101
        feeder = _Feeder(process.stdin, dump)
        feeder.start()
        try:
            _execute(process.stdout)
            code = process.wait()
        except psycopg.Error as error:
            mend = (
                " Name the role that may make tables here in ORBIT_OWNER_DATABASE_URL."
                if isinstance(error, InsufficientPrivilege)
                else ""
            )
            raise RestoreFailed(
                f"The database refuses: {' '.join(str(error).split())[:600]}. Nothing was kept.{mend}"
            ) from error
        finally:
            process.kill()
            process.stdout.close()
            process.wait()
            feeder.join()
        if feeder.error is not None:
            raise feeder.error
        if code:
            complaints.seek(0)
            raise RestoreFailed(
                f"pg_restore failed ({code}): {' '.join(complaints.read().decode(errors='replace').split())[-600:]}. Nothing was kept."
            )


class _Feeder(threading.Thread):
    """Gives pg_restore the dump while its script is being run; ``error`` is what reading raised."""

    def __init__(self, pipe: IO[bytes], dump: Iterable[bytes]) -> None:
        super().__init__(name="restore", daemon=True)
        self._pipe, self._dump = pipe, dump
        self.error: Exception | None = None

    def run(self) -> None:
        # A reader that is gone says itself why.
        with suppress(BrokenPipeError):
            try:
                for piece in self._dump:
                    self._pipe.write(piece)
            except BrokenPipeError:
                pass
            except Exception as error:
                # It is raised where the script is run.
                self.error = error
            finally:
                self._pipe.close()


def _execute(script: IO[bytes]) -> None:
    cursor: psycopg.Cursor[Any] = connection.connection.cursor()
    statements: list[bytes] = []
    for line in script:
        if line.startswith(b"COPY ") and line.endswith(b" FROM stdin;\n"):
            _statements(cursor, statements)
            with cursor.copy(line.rstrip(b";\n")) as copy:
                for rows in _rows(script):
                    copy.write(rows)
            statements = []
        # Comments take no trip, \restrict is meant for psql alone.
        elif not line.startswith((b"--", b"\\", b"\n")) and not (
            line == TOO_NEW and cursor.connection.info.server_version < 170000
        ):
            statements.append(line)
    _statements(cursor, statements)


def _statements(cursor: psycopg.Cursor[Any], lines: list[bytes]) -> None:
    if lines:
        cursor.execute(b"".join(lines), prepare=False)


def _rows(script: IO[bytes]) -> Iterator[bytes]:
    """Yield the rows up to the line that ends them, many at once. Raises RestoreFailed where that never comes."""
    rows: list[bytes] = []
    size = 0
    for line in script:
        if line == b"\\.\n":
            yield b"".join(rows)
            return
        rows.append(line)
        size += len(line)
        if size > PIECE:
            yield b"".join(rows)
            rows, size = [], 0
    raise RestoreFailed("The dump ends in the middle of a table. Nothing was kept.")
