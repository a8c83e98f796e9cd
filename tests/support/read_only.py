"""Databases whose new sessions can't write."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connections
from psycopg import sql

from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server


def set_read_only(server: Server, name: str, *, on: bool) -> None:
    """Let the next sessions of the database ``name`` be read-only, or not; end the others."""
    with psycopg.connect(server.url(SUPERUSER, "postgres"), autocommit=True) as owner:
        owner.execute(
            sql.SQL("ALTER DATABASE {} {}").format(
                sql.Identifier(name),
                sql.SQL("SET default_transaction_read_only = on")
                if on
                else sql.SQL("RESET default_transaction_read_only"),
            )
        )
        owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )


@contextmanager
def read_only(server: Server, name: str) -> Iterator[None]:
    """The database ``name`` accepts no writes inside the block; this thread connects anew."""
    set_read_only(server, name, on=True)
    connections["default"].close()
    try:
        yield
    finally:
        set_read_only(server, name, on=False)
        connections["default"].close()
