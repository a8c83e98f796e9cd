"""``make upgrade`` makes a backup first, and explains the way back after a failure."""

import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest
from django.conf import settings

from orbit_site.backup import container
from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server
from tests.support import backups, database, project
from tests.support.backups import call, rows
from tests.support.project import Project

pytestmark = [
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.skipif(
        not (project.PROJECT / ".venv").exists(), reason="no .venv that make could use"
    ),
]


@pytest.fixture
def older(server: Server, committed: str) -> str:
    """The name of a database of an older release."""
    assert call(server, committed, "migrate", "sessions", "zero", "--skip-checks")[0] == 0
    return committed


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project that all tests share."""
    project_copy = project.copy(tmp_path_factory.mktemp("upgrade") / "project")
    shutil.copy2(project.PROJECT / "Makefile", project_copy.folder)
    (project_copy.folder / ".venv").symlink_to(project.PROJECT / ".venv")
    return project_copy


def upgrade(server: Server, name: str, copied: Project) -> tuple[int, str, list[Path]]:
    """Upgrade the copy; return exit code, output and new backups."""
    shutil.rmtree(copied.var, ignore_errors=True)
    environment = {
        **copied.environment,
        **database.environment(server, name),
        # Its own would sign the backup, which is restored here.
        "ORBIT_ENCRYPTION_KEYS": ",".join(settings.ORBIT_ENCRYPTION_KEYS),
    }
    done = subprocess.run(
        ["make", "upgrade"],
        cwd=copied.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr, sorted(copied.var.glob("backups/*"))


def test_it_backs_up_what_was_there_and_then_migrates(
    server: Server, older: str, copied: Project
) -> None:
    code, output, files = upgrade(server, older, copied)
    assert code == 0, output
    assert output.rstrip().endswith("until then they run the old release.")
    (backup,) = files
    assert backup.name.startswith("orbit-before-")
    assert backup.parent.stat().st_mode & 0o777 == 0o700
    with container.opened(backup) as opened:
        assert "django_session" not in opened.manifest["rows"]
    assert rows(server, older, "SELECT count(*) FROM django_session") == [(0,)]


def test_without_a_backup_nothing_is_done(server: Server, older: str, copied: Project) -> None:
    with psycopg.connect(server.url("orbit_owner", older)) as owner:
        owner.execute("SELECT pg_advisory_lock(hashtext('orbit.migrate'), hashtext('public'))")
        code, output, files = upgrade(server, older, copied)
    assert code == 2
    assert "A migration of this database is running" in output
    assert "no backup was made, so nothing was changed" in output
    assert files == []
    assert rows(server, older, "SELECT to_regclass('django_session')") == [(None,)]


def test_a_migration_that_fails_names_the_way_back_and_that_way_works(
    server: Server, older: str, copied: Project
) -> None:
    with psycopg.connect(server.url(SUPERUSER, older)) as owner:
        owner.execute(
            "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql "
            "AS $$ BEGIN RAISE EXCEPTION 'no table here'; END $$"
        )
        owner.execute(
            "CREATE EVENT TRIGGER refuse ON ddl_command_start "
            "WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION refuse()"
        )
    code, output, (backup,) = upgrade(server, older, copied)
    assert code == 2
    assert "no table here" in output
    assert "or go back as docs/operations.md says" in output
    empty = f"{older}_back"
    backups.create(server, empty)
    try:
        code, _, errors = call(server, empty, "restore", str(backup))
        assert code == 0, errors
    finally:
        database.drop(server, empty)
