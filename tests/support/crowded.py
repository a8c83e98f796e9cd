"""A full database for the tests of one module."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connections

from orbit_site.processes.postgres import Server
from tests import conftest
from tests.support import database


@contextmanager
def database_of_its_own(
    server: Server, fill: Callable[[psycopg.Connection[Any]], None]
) -> Iterator[str]:
    """Make a database, ``fill`` it as its owner and point Django to it; yield its name."""
    before = str(connections["default"].settings_dict["NAME"])
    name = f"orbit_crowd_{uuid.uuid4().hex[:8]}"
    database.clone(server, name)
    with psycopg.connect(server.url("orbit_owner", name), autocommit=True) as owner:
        fill(owner)
    conftest._point(server, name)
    try:
        yield name
    finally:
        conftest._point(server, before)
        database.drop(server, name)
