"""The roles of the embedded server.

``orbit_owner`` has the tables, ``orbit_app`` uses them, and neither is a superuser: a statement of
theirs reads no file and starts no program. The superuser logs in nowhere. While no server runs,
Orbit uses it to create roles and databases.
"""

import re
from pathlib import Path

from orbit_site.processes import pg_programs
from orbit_site.processes.pg_paths import Account

SUPERUSER = "orbit_superuser"
ROLES = ("orbit_owner", "orbit_app")
_SQL = Path(__file__).with_name("sql")
_CREATE_DATABASE = "CREATE DATABASE orbit OWNER orbit_owner;\n\n"
_LIST_DATABASES = "SELECT datname FROM pg_database WHERE datallowconn;\n\n"
_DATABASE = re.compile(r'\bdatname = "(.+)"\t')


def create(programs: Path, data: Path, runner: Account) -> None:
    """Create roles and database in new data. Raises PostgresError."""
    pg_programs.single_user(programs, data, runner, _statements("roles") + _CREATE_DATABASE)


def convert(programs: Path, data: Path, runner: Account) -> None:
    """Take the superuser from ``orbit_owner`` in data of an older release.

    It can be repeated, after a crash too. Raises PostgresError.
    """
    output = pg_programs.single_user(programs, data, runner, _statements("roles") + _LIST_DATABASES)
    for database in _DATABASE.findall(output):
        pg_programs.single_user(
            programs, data, runner, _statements("own_objects"), database=database
        )


def _statements(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text(encoding="utf-8")
