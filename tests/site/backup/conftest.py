"""A used installation, its backup, and an empty database to restore to."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection

from orbit_site.processes.postgres import Server
from tests.support import backups, database
from tests.support.pipeline import configure_profiles, start_cycle

# Rows without a partition.
IN_DEFAULT = """
INSERT INTO telemetry_telemetryevent (id, occurred_at, name)
VALUES (gen_random_uuid(), '2019-02-03Z', 'e');
INSERT INTO orbit_cyclecheckpoint (cycle_id, stage, fencing_token)
VALUES (orbit_uuid_floor('2019-02-03Z'), 'cycle_started', 1);
INSERT INTO orbit_executionrecord (id, partition_key, stage, event)
SELECT id, id, 's', 'e' FROM orbit_uuid_floor('2019-02-03Z') AS id;
"""


@pytest.fixture
def elsewhere(
    server: Server, django_db_setup: None, django_db_blocker: pytest.FixtureRequest
) -> Iterator[str]:
    """The name of an empty database."""
    name = f"orbit_elsewhere_{os.getpid()}_{uuid.uuid4().hex[:8]}"
    backups.create(server, name)
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        yield name
    database.drop(server, name)


@pytest.fixture
def used(committed: str) -> str:
    """The name of a database with profiles, a user, open cycles and an audit trail."""
    configure_profiles(**{f"r{n}": {"namespace": f"n-{n}"} for n in range(3)})
    for n in range(3):
        start_cycle(f"r{n}", b'{"a": "\xc3\xa4\\\\n\\\\."}')
    User.objects.create_user("ann")
    with connection.cursor() as cursor:
        cursor.execute(IN_DEFAULT)
    return committed


@pytest.fixture
def backup(server: Server, used: str, tmp_path: Path) -> Path:
    """A backup of ``used``."""
    code, _, errors = backups.call(server, used, "backup", str(tmp_path / "a.backup"))
    assert code == 0, errors
    return tmp_path / "a.backup"


@pytest.fixture(scope="session")
def first_backup() -> list[bytes]:
    return []


@pytest.fixture
def a_backup(request: pytest.FixtureRequest, first_backup: list[bytes], tmp_path: Path) -> Path:
    """A backup that several tests share."""
    if not first_backup:
        first_backup.append(request.getfixturevalue("backup").read_bytes())
    (tmp_path / "a.backup").write_bytes(first_backup[0])
    return tmp_path / "a.backup"
