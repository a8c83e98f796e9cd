"""An authority of tasks: a real table in the main database."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.db import connections

from orbit_site.processes.postgres import Server
from telemetry.reconcile import authority
from telemetry.reconcile.authority import Authority

QUERY = """
SELECT task_id, status, changed_at, title, priority, tags, namespace FROM test_task
"""
TABLE = """
CREATE TABLE test_task (
    task_id text PRIMARY KEY, status text NOT NULL, changed_at timestamptz NOT NULL DEFAULT now(),
    title text, priority bigint, tags jsonb, namespace text)
"""


Put = Callable[..., None]


@pytest.fixture
def tasks(committed: str, server: Server) -> Iterator[Put]:
    """Register the authority; set its tasks: ``tasks(T1="RUNNING", T2=None)``, None removes one."""
    with psycopg.connect(server.url("orbit_owner", committed), autocommit=True) as owner:
        owner.execute(TABLE)
        owner.execute("GRANT SELECT ON test_task TO PUBLIC")

        def put(**statuses: str | None) -> None:
            for task, status in statuses.items():
                owner.execute("DELETE FROM test_task WHERE task_id = %s", [task])
                if status is not None:
                    owner.execute(
                        "INSERT INTO test_task (task_id, status, title, priority, tags)"
                        " VALUES (%s, %s, 'Load', 3, '[\"a\"]')",
                        [task, status],
                    )

        before = authority.registered()
        authority.register(Authority("tests", QUERY))
        try:
            yield put
        finally:
            authority.register(before)
            connections["default"].close()
            owner.execute("DROP TABLE test_task")
