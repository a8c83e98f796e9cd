"""Run a dump in our own transaction, so that it commits only if later checks pass.

``pg_restore`` turns the dump into a script for psql: statements, and rows between ``COPY ... FROM
stdin;`` and ``\\.``.
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

CHUNK_BYTES = 1 << 18
# Unknown to servers before 17, and the default.
NEEDS_17 = b"SET transaction_timeout = 0;\n"


class RestoreFailed(OrbitError):
    """The dump can't be restored."""

    code, kind = "restore_failed", Kind.UNAVAILABLE


def run(program: Path, dump: Iterable[bytes]) -> None:
    """Run the script that ``program``, pg_restore, makes of ``dump``.

    Raises RestoreFailed, or what reading ``dump`` raises; then roll back.
    """
    command = [
        str(program),
        # Everything belongs to the connected role; `migrate` grants.
        "--no-owner",
        "--no-acl",
        "--exit-on-error",
        f"--schema={settings.ORBIT_DATABASE_SCHEMA}",
        "--file=-",
    ]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
        assert process.stdin is not None  # noqa: S101 - they are pipes
        assert process.stdout is not None  # noqa: S101
        feeder = _Feeder(process.stdin, dump)
        feeder.start()
        try:
            _execute(process.stdout)
            code = process.wait()
        except psycopg.Error as error:
            message = " ".join(str(error).split())[:600]
            advice = ""
            if isinstance(error, InsufficientPrivilege):
                advice = " Name a role that may create tables in ORBIT_OWNER_DATABASE_URL."
            raise RestoreFailed(
                f"The database refuses: {message}. Nothing was kept.{advice}"
            ) from error
        finally:
            process.kill()
            process.stdout.close()
            process.wait()
            feeder.join()
        if feeder.error is not None:
            raise feeder.error
        if code:
            errors.seek(0)
            message = " ".join(errors.read().decode(errors="replace").split())[-600:]
            raise RestoreFailed(f"pg_restore failed ({code}): {message}. Nothing was kept.")


class _Feeder(threading.Thread):
    """Feeds the dump to pg_restore while its script runs."""

    def __init__(self, pipe: IO[bytes], dump: Iterable[bytes]) -> None:
        super().__init__(name="restore", daemon=True)
        self._pipe, self._dump = pipe, dump
        self.error: Exception | None = None

    def run(self) -> None:
        # If pg_restore ended, its own error says why.
        with suppress(BrokenPipeError):
            try:
                for chunk in self._dump:
                    self._pipe.write(chunk)
            except BrokenPipeError:
                pass
            except Exception as error:
                # run() raises it.
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
        # Skip comments, and \restrict, which is for psql.
        elif not line.startswith((b"--", b"\\", b"\n")) and not (
            line == NEEDS_17 and cursor.connection.info.server_version < 170000
        ):
            statements.append(line)
    _statements(cursor, statements)


def _statements(cursor: psycopg.Cursor[Any], lines: list[bytes]) -> None:
    if lines:
        cursor.execute(b"".join(lines), prepare=False)


def _rows(script: IO[bytes]) -> Iterator[bytes]:
    """Yield the rows up to their end marker. Raises RestoreFailed."""
    rows: list[bytes] = []
    size = 0
    for line in script:
        if line == b"\\.\n":
            yield b"".join(rows)
            return
        rows.append(line)
        size += len(line)
        if size > CHUNK_BYTES:
            yield b"".join(rows)
            rows, size = [], 0
    raise RestoreFailed("The dump ends in the middle of a table. Nothing was kept.")
