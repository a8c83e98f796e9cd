"""Migration operations for indexes that are built, and dropped, beside running processes."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.utils import CursorWrapper
from django.db.migrations.operations import RunPython, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation
from psycopg.errors import LockNotAvailable

#: Others queue behind a statement that waits for a lock of the table: for no longer than this.
_BRIEF = "500ms"
_PAUSE_SECONDS = 1.0
_IS_INVALID = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(%s) AND NOT indisvalid"
#: Partitions of a table that don't have their part of an index.
_WITHOUT_INDEX = """
SELECT c.relname
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass(%s)
  AND NOT EXISTS (
      SELECT 1
      FROM pg_inherits ii
      JOIN pg_index x ON x.indexrelid = ii.inhrelid
      WHERE ii.inhparent = to_regclass(%s) AND x.indrelid = i.inhrelid)
ORDER BY c.relname
"""


def build(
    name: str, on: str, *, unique: bool = False, state: Sequence[Operation] = ()
) -> SeparateDatabaseAndState:
    """Return the operation that builds an index. ``on``: table, columns and condition."""
    kind = "UNIQUE INDEX" if unique else "INDEX"
    operation = RunPython(_creating(name, kind, on), _dropping(name))
    return SeparateDatabaseAndState([operation], list(state))


def drop(name: str, on: str) -> RunPython:
    """Return the operation that drops an index. ``on``: what builds it again."""
    return RunPython(_dropping(name), _creating(name, "INDEX", on))


def _creating(name: str, kind: str, on: str) -> Any:
    def create(_apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
        with _patient(editor) as cursor:
            # What an interrupted build left is invalid, and IF NOT EXISTS would keep it. A valid
            # one is in use.
            cursor.execute(_IS_INVALID, [name])
            if cursor.fetchone():
                cursor.execute(f"DROP INDEX CONCURRENTLY {name}")
            cursor.execute(f"CREATE {kind} CONCURRENTLY IF NOT EXISTS {name} ON {on}")

    return create


def _dropping(name: str) -> Any:
    def remove(_apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
        with _patient(editor) as cursor:
            cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")

    return remove


@contextmanager
def _patient(editor: BaseDatabaseSchemaEditor) -> Iterator[CursorWrapper]:
    """Wait for old snapshots without a limit: no session queues behind the build."""
    with editor.connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        (before,) = cursor.fetchone()
        cursor.execute("SET lock_timeout = 0")
        try:
            yield cursor
        finally:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [before])


def build_on_partitions(name: str, table: str, on: str) -> RunPython:
    """Return the operation that builds an index of a partitioned table, partition by partition.

    ``on``: columns and condition. Writers wait only for entries in the catalog, never for a build.
    An interrupted migration goes on where it stopped.
    """

    def create(_apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
        with _patient(editor) as cursor:
            # The parent's index is invalid until each partition has one. New partitions bring it.
            _briefly(cursor, f"CREATE INDEX IF NOT EXISTS {name} ON ONLY {table} {on}")
            cursor.execute(_WITHOUT_INDEX, [table, name])
            for (partition,) in cursor.fetchall():
                child = f"{partition}_{name.rpartition('_')[2]}"
                cursor.execute(_IS_INVALID, [child])
                if cursor.fetchone():
                    cursor.execute(f"DROP INDEX CONCURRENTLY {child}")
                cursor.execute(
                    f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {child} ON {partition} {on}"
                )
                _briefly(cursor, f"ALTER INDEX {name} ATTACH PARTITION {child}")

    def remove(_apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
        editor.execute(f"DROP INDEX IF EXISTS {name}")

    return RunPython(create, remove)


def _briefly(cursor: CursorWrapper, statement: str) -> None:
    """Execute ``statement``, again and again until it gets its lock at once.

    A writer or reader may hold its table for as long as it likes.
    """
    while True:
        cursor.execute(f"SET lock_timeout = '{_BRIEF}'")
        try:
            cursor.execute(statement)
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
        else:
            return
        finally:
            cursor.execute("SET lock_timeout = 0")
        time.sleep(_PAUSE_SECONDS)
