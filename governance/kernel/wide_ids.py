"""The migration operation that gives ids of other packages' tables 64 bits."""

from django.db.migrations.operations import RunSQL


def widen(table: str, *columns: str) -> RunSQL:
    """Return the operation that makes ``columns`` bigint, and the sequence of an identity too.

    It rewrites the table under an exclusive lock.
    """

    def change(kind: str) -> str:
        return f"ALTER TABLE {table} " + ", ".join(
            f"ALTER COLUMN {column} TYPE {kind}" for column in columns
        )

    return RunSQL(change("bigint"), change("integer"))
