"""Run a dump in our own transaction, so that it commits only if later checks pass.

``pg_restore`` turns the dump into scripts for psql, one per section: statements before the data,
rows between ``COPY ... FROM stdin;`` and ``\\.``, and statements after them.
"""

import re
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any

import psycopg
from django.conf import settings
from django.db import connection
from psycopg.errors import InsufficientPrivilege

from governance.kernel.errors import Kind, OrbitError
from orbit_site.backup import programs

CHUNK_BYTES = 1 << 18
LARGEST_SCRIPT = 64 << 20
# Unknown to servers before 17, and the default.
NEEDS_17 = b"SET transaction_timeout = 0;\n"

# The statements between the rows, each on one line. Nothing else is run there.
_NAME = rb'(?:[a-z_][a-z0-9_]*|"(?:[^"\n]|"")+")'
_COPY = re.compile(
    rb"(COPY NAME\.NAME (?:\(NAME(?:, NAME)*\) | ?)FROM stdin);\n".replace(b"NAME", _NAME)
)
_SETTING = re.compile(
    rb"SET [a-z_]+ = (?:[a-z]+|\d+|'[\w-]*');\n"
    rb"|SELECT pg_catalog\.set_config\('search_path', '', false\);\n"
    rb"|SELECT pg_catalog\.setval\('(?:[^'\n]|'')+', \d+, (?:true|false)\);\n"
)
# For psql alone: nothing but the line with the same random word ends what \restrict begins.
_RESTRICT = re.compile(rb"^\\restrict (\w+)\n", re.MULTILINE)
_FIRST_ENTRY = b"\n--\n-- Name: "

#: Gives the dump from its beginning.
Dump = Callable[[], Iterable[bytes]]


class RestoreFailed(OrbitError):
    """The dump can't be restored."""

    code, kind = "restore_failed", Kind.UNAVAILABLE


def run(program: Path, dump: Dump) -> None:
    """Run the scripts that ``program``, pg_restore, makes of ``dump``.

    Raises RestoreFailed, or what reading ``dump`` raises; then roll back.
    """
    cursor: psycopg.Cursor[Any] = connection.connection.cursor()
    try:
        # Sections of their own: text in a function's body can look like COPY or a comment.
        _run_statements(cursor, _script(program, "pre-data", dump()))
        with _script(program, "data", dump()) as script:
            _load_rows(cursor, script)
        _run_statements(cursor, _script(program, "post-data", dump()))
    except psycopg.Error as error:
        message = " ".join(str(error).split())[:600]
        advice = ""
        if isinstance(error, InsufficientPrivilege):
            advice = " Name a role that may create tables in ORBIT_OWNER_DATABASE_URL."
        raise RestoreFailed(
            f"The database refuses: {message}. Nothing was kept.{advice}"
        ) from error


@contextmanager
def _script(program: Path, section: str, dump: Iterable[bytes]) -> Iterator[IO[bytes]]:
    """Open the script of a section. Raises RestoreFailed at the end if it isn't complete."""
    command = [
        str(program),
        # Everything belongs to the connected role; `migrate` grants.
        "--no-owner",
        "--no-acl",
        "--exit-on-error",
        f"--schema={settings.ORBIT_DATABASE_SCHEMA}",
        f"--section={section}",
        "--file=-",
    ]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            env=programs.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        assert process.stdin is not None  # noqa: S101 - they are pipes
        assert process.stdout is not None  # noqa: S101
        feeder = _Feeder(process.stdin, dump)
        feeder.start()
        code = 0
        try:
            yield process.stdout
            code = process.wait()
        finally:
            process.kill()
            process.stdout.close()
            process.wait()
            feeder.join()
            # The cause of what the script lacked.
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
        try:
            with self._pipe:
                for chunk in self._dump:
                    self._pipe.write(chunk)
        except BrokenPipeError:
            # It has what it needs of this section, or its own error says why.
            pass
        except Exception as error:
            # _script() raises it.
            self.error = error


def _run_statements(
    cursor: "psycopg.Cursor[Any]", opened: AbstractContextManager[IO[bytes]]
) -> None:
    with opened as script:
        text = script.read(LARGEST_SCRIPT + 1)
        if len(text) > LARGEST_SCRIPT:
            raise RestoreFailed("The dump's statements are too long. Nothing was kept.")
    # As it is, to the last byte: functions keep their comments and empty lines.
    cursor.execute(_without_psql(text, cursor.connection.info.server_version), prepare=False)


def _without_psql(script: bytes, server: int) -> bytes:
    """Leave out what pg_restore writes for psql, and for newer servers, around the entries."""
    head, separator, entries = script.partition(_FIRST_ENTRY)
    if server < 170000:
        head = head.replace(NEEDS_17, b"", 1)
    match = _RESTRICT.search(head)
    if match is None:
        return head + separator + entries
    begin, _, end = (
        (head + separator + entries)
        .replace(match[0], b"", 1)
        .rpartition(b"\\unrestrict " + match[1] + b"\n")
    )
    return begin + end


def _load_rows(cursor: "psycopg.Cursor[Any]", script: IO[bytes]) -> None:
    for line in script:
        if copy := _COPY.fullmatch(line):
            with cursor.copy(copy[1]) as target:
                for rows in _rows(script):
                    target.write(rows)
        elif _SETTING.fullmatch(line):
            if line != NEEDS_17 or cursor.connection.info.server_version >= 170000:
                cursor.execute(line, prepare=False)
        elif not line.startswith((b"--", b"\\restrict ", b"\\unrestrict ")) and line != b"\n":
            raise RestoreFailed(
                f"Among its rows the dump has something else: {ascii(line[:80])[2:-1]}. "
                "Nothing was kept."
            )


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
