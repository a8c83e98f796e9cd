"""Migrations beside other sessions."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from orbit_site.processes.postgres import Server
from tests.support.backups import call


@contextmanager
def migrating(server: Server, database: str) -> Iterator[list[int]]:
    """Run ``migrate`` beside the block; yield its exit code once it has ended. It must be 0.

    The block has to release what it holds.
    """
    ended: list[int] = []
    thread = threading.Thread(
        target=lambda: ended.append(call(server, database, "migrate", "--skip-checks")[0])
    )
    thread.start()
    yield ended
    thread.join(60)
    assert ended == [0]
