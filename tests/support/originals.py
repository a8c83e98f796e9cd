"""Databases that are filled once in a test process, and copied for each of its tests."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import Generic, TypeVar

import psycopg
import pytest
from django.db import connections

from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server
from tests.conftest import own_database
from tests.support import database
from tests.support.reuse import ALONE, Pool

T = TypeVar("T")


@dataclass(frozen=True)
class Original(Generic[T]):
    """A full database, its folder of configuration files, and what its maker returned."""

    server: Server
    pool: Pool
    folder: Path
    made: T
    blocker: pytest.FixtureRequest

    @contextmanager
    def copied(self, folder: Path) -> Iterator[str]:
        """Point Django to a copy; copy the files to ``folder``. Yield the database's name."""
        copytree(self.folder, folder)
        with own_database(self.server, [self.pool], self.blocker) as name:
            yield name


@contextmanager
def original(
    server: Server,
    pools: list[Pool],
    blocker: pytest.FixtureRequest,
    folder: Path,
    make: Callable[[], T],
) -> Iterator[Original[T]]:
    """Fill a database by ``make``, with configuration files in ``folder``."""
    name = f"orbit_original_{os.getpid()}_{uuid.uuid4().hex[:8]}"
    with own_database(server, pools, blocker) as draft:
        made = make()
        connections.close_all()
        with psycopg.connect(server.url(SUPERUSER, draft), autocommit=True) as owner:
            owner.execute(ALONE)  # a database that is in use can't be copied
        database.clone_one(server, name, draft)
    pool = Pool(server, name)
    try:
        yield Original(server, pool, folder, made, blocker)
    finally:
        pool.close()
        database.drop_one(server, name)
