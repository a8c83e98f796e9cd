"""Databases that can't be reached for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connections
from psycopg import sql

from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server


@contextmanager
def closed(server: Server, name: str) -> Iterator[None]:
    """No session of the database ``name`` begins inside the block; this thread connects anew."""
    connections["default"].close()
    _allow(server, name, allowed=False)
    try:
        yield
    finally:
        _allow(server, name, allowed=True)


def _allow(server: Server, name: str, *, allowed: bool) -> None:
    with psycopg.connect(server.url(SUPERUSER, "postgres"), autocommit=True) as owner:
        owner.execute(
            sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(
                sql.Identifier(name), sql.Literal(allowed)
            )
        )
        if not allowed:
            owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
