"""A shorter time limit for the statements of a page."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from django.db import connection

from governance.kernel import sql

SHORTEN = sql.load(__name__, "shorten_statements")


@contextmanager
def statement_limit(seconds: float) -> Iterator[None]:
    """Limit each statement in the block, unless the connection's own limit is shorter."""
    SHORTEN.rows(milliseconds=round(seconds * 1000))
    try:
        yield
    finally:
        # A broken connection has no limit to restore.
        with suppress(psycopg.Error):
            if connection.connection is not None:
                connection.connection.execute("RESET statement_timeout")
