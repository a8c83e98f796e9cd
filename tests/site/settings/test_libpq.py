"""libpq's environment variables: which have an effect on Orbit's connections."""

import os
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured
from psycopg import pq

from orbit_site.settings import libpq
from tests.support import project
from tests.support.project import Project

#: Values that would break or redirect a connection.
HOSTILE = {
    "PGHOST": "nowhere.invalid",
    "PGHOSTADDR": "10.0.0.1",
    "PGPORT": "6543",
    "PGDATABASE": "other",
    "PGUSER": "eve",
    "PGPASSWORD": "sesame",
    "PGPASSFILE": "/nowhere/pgpass",
    "PGSERVICE": "x",
    "PGSERVICEFILE": "/nowhere/service",
    "PGSYSCONFDIR": "/nowhere",
    "PGOPTIONS": "-c search_path=nowhere",
    "PGSSLMODE": "verify-full",
    "PGSSLROOTCERT": "/nowhere/ca.crt",
    "PGSSLNEGOTIATION": "direct",
    "PGGSSENCMODE": "require",
    "PGCHANNELBINDING": "require",
    "PGREQUIREAUTH": "scram-sha-256",
    "PGREQUIREPEER": "mallory",
    "PGTARGETSESSIONATTRS": "standby",
    "PGCLIENTENCODING": "LATIN1",
    "PGCONNECT_TIMEOUT": "soon",
    "PGDATA": "/nowhere/data",
    "PGTZ": "Asia/Tokyo",
    "PGDATESTYLE": "German",
    "PGAPPNAME": "eve",
}
URL = "postgresql://orbit@db.example.com/orbit"


def test_every_variable_of_libpq_is_known() -> None:
    names = {option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar}
    environ = dict.fromkeys(names | HOSTILE.keys(), "x")
    libpq.settle(environ, embedded=True)
    assert environ == {}


def test_none_reaches_the_embedded_server_and_no_other_variable_is_touched() -> None:
    environ = {**HOSTILE, "PGLOCALEDIR": "", "PATH": "/bin", "PG_COLOR": "always", "PAGER": "less"}
    assert libpq.settle(environ, embedded=True) == sorted(HOSTILE)
    assert environ == {"PATH": "/bin", "PG_COLOR": "always", "PAGER": "less"}


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("PGSERVICE", "x", "could lead elsewhere"),
        ("PGHOSTADDR", "10.0.0.1", "hostaddr=address"),
        ("PGOPTIONS", "-c work_mem=1GB", r"\?options="),
        ("PGTARGETSESSIONATTRS", "standby", "Unset it"),
        ("PGTARGETSESSIONATTRS", "prefer-standby", "Unset it"),
    ],
)
def test_one_that_contradicts_database_url_is_refused_by_its_name(
    name: str, value: str, advice: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"{name} is set, which .*{advice}") as caught:
        libpq.settle({name: value}, embedded=False)
    assert value not in str(caught.value)


def test_with_database_url_the_rest_fills_what_it_leaves_open() -> None:
    kept = {
        "PGPASSWORD": "sesame",
        "PGSSLMODE": "verify-full",
        "PGPASSFILE": "/etc/pgpass",
        "PGPORT": "6543",
        "PGTARGETSESSIONATTRS": "read-write",
    }
    environ = {**kept, "PGSERVICE": "", "PGHOSTADDR": "", "PGCLIENTENCODING": "LATIN1"}
    assert libpq.settle(environ, embedded=False) == ["PGCLIENTENCODING"]
    assert environ == kept


def test_the_settings_say_it_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=project.PROJECT,
        env={**os.environ, "ORBIT_ENV": "test", "DATABASE_URL": URL, "PGSERVICE": "x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("orbit: PGSERVICE is set, which could lead elsewhere")
    assert done.stderr.count("\n") == 1


@pytest.mark.processes
def test_commands_reach_the_embedded_server_whatever_is_set() -> None:
    with project.open_folder() as folder:
        copied: Project = project.copy(folder / "orbit", **HOSTILE)
        assert copied.run("migrate", "--verbosity", "0") == (0, "")
        code, output = copied.run("namespace", "create", "eu")
        assert code == 0, output
        backup = str(folder / "first.backup")
        code, output = copied.run("backup", backup)
        assert (code, backup in output) == (0, True), output
