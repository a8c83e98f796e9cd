"""Runs a Django command with a usable database.

Without ``DATABASE_URL`` the embedded PostgreSQL runs meanwhile; the last command to end stops it.
"""

import gc
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from types import FrameType
from typing import Any

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line, get_commands
from django.db import (
    DatabaseError,
    InterfaceError,
    NotSupportedError,
    ProgrammingError,
    connection,
    connections,
)
from django.db.migrations.exceptions import MigrationSchemaMissing
from psycopg import errors

from governance.kernel import availability, terminal
from governance.kernel.errors import OrbitError
from orbit_site.processes import entry, postgres
from orbit_site.settings import environment
from telemetry import command_log

OLDEST_SERVER = 15
#: Commands that read no table. `up` handles the database itself.
WITHOUT_DATABASE = {"help", "version", "check", "up", "health", "diffsettings", "findstatic"}
#: Services run for weeks and are killed as a matter of course: health checks and heartbeats tell
#: more of them than a start without an end. The others work on code, not on the database.
UNRECORDED = {
    *("web", "cluster", "qcluster"),
    *("makemigrations", "makemessages", "compilemessages", "startapp", "startproject"),
    *("collectstatic", "sqlmigrate", "sqlflush", "sqlsequencereset", "squashmigrations"),
    *("optimizemigration", "runserver", "testserver", "test", "sendtestemail"),
}


def run(argv: list[str]) -> int:
    """Run the command and return 0. Raises ImproperlyConfigured."""
    needed = needs_database(argv)
    held = _database_if_any if needed and _wraps(argv) else _database
    with _explained(), held(needed=needed):
        if needed:
            django.setup()
        gc.enable()
        with _recorded(argv) if needed else nullcontext(), _explained():
            execute_from_command_line(argv)
    return 0


@contextmanager
def _explained() -> Iterator[None]:
    """Make sentences of what a database does. Raises ImproperlyConfigured."""
    try:
        yield
    except (ProgrammingError, MigrationSchemaMissing) as error:
        # Django hides why it couldn't create its first table.
        hidden = error.__context__
        if isinstance(hidden, DatabaseError) and availability.is_away(hidden):
            message: str | None = _away(hidden)
        else:
            message = _schema_problem(error)
        if message is None:
            raise
        raise ImproperlyConfigured(message) from error
    except (DatabaseError, InterfaceError) as error:
        if not availability.is_away(error):
            raise
        raise ImproperlyConfigured(_away(error)) from error


def needs_database(argv: list[str]) -> bool:
    """Tell whether the command reads or writes tables."""
    if len(argv) < 2 or entry.asks_for_help(argv):
        return False
    return argv[1] not in WITHOUT_DATABASE or "--database" in argv


def _database(*, needed: bool, is_checked: bool = True) -> AbstractContextManager[object]:
    if not needed:
        return nullcontext()
    if environment.DATABASE_URL:
        if is_checked:
            _refuse_unfit_server()
        return nullcontext()
    # Unwind on SIGTERM, so that the server is stopped. Web and cluster set their own handlers.
    signal.signal(signal.SIGTERM, _exit)
    return postgres.held(environment.VAR_DIR)


def _recorded(argv: list[str]) -> AbstractContextManager[object]:
    """Report the command to telemetry."""
    name = argv[1]
    if name in UNRECORDED or name not in get_commands() or _wraps(argv):
        return nullcontext()
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        # Unwind, so that its end is reported.
        signal.signal(signal.SIGTERM, _exit)
    return command_log.recorded(name, _exit_code)


def _exit_code(error: BaseException) -> int:
    """Return the exit code that ``entry`` makes of ``error``."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    return entry.REFUSED if isinstance(error, ImproperlyConfigured | OrbitError) else 1


def _wraps(argv: list[str]) -> bool:
    """Tell whether the command runs another program, which must run in any case."""
    return argv[1:3] == ["telemetry", "run"]


@contextmanager
def _database_if_any(*, needed: bool) -> Iterator[None]:
    """Go on without a database if there is none."""
    with ExitStack() as stack:
        try:
            with _explained():
                # The program waits for the database once, while its start is stored.
                stack.enter_context(_database(needed=needed, is_checked=False))
        except ImproperlyConfigured as error:
            print(f"orbit: warning: {terminal.escape_lines(str(error))}", file=sys.stderr)
        yield


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _refuse_unfit_server() -> None:
    """Refuse a server or a database that Orbit can't keep its data in."""
    django.setup()
    advice = (
        f"Orbit needs {OLDEST_SERVER} or newer: "
        "upgrade the server, or name another in DATABASE_URL."
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('server_version_num')::int / 10000, "
                "current_setting('server_encoding')"
            )
            version, encoding = cursor.fetchone()
    except NotSupportedError as error:  # Django has a lower limit of its own
        raise ImproperlyConfigured(f"{error} {advice}") from error
    if version < OLDEST_SERVER:
        raise ImproperlyConfigured(f"The database server is PostgreSQL {version}. {advice}")
    if encoding != "UTF8":
        name = connection.settings_dict["NAME"]
        raise ImproperlyConfigured(
            f"The encoding of the database {name!r} is {encoding}, and Orbit needs UTF8. "
            f"Create another (CREATE DATABASE {name}_utf8 ENCODING 'UTF8' TEMPLATE template0) "
            "and name it in DATABASE_URL."
        )


def _schema_problem(error: Exception) -> str | None:
    """Explain missing or foreign tables; return None for other errors."""
    # Django's exception has the driver's as its cause; a failed migration has Django's as context.
    cause = error.__cause__ or getattr(error.__context__, "__cause__", None)
    message = str(cause).strip().partition("\n")[0]
    if isinstance(cause, errors.UndefinedTable):
        return (
            f"The database isn't migrated: {message}. "
            "Run `manage.py migrate`; ORBIT_DATABASE_SCHEMA names the schema."
        )
    if isinstance(cause, errors.InsufficientPrivilege):
        return (
            f"The database refuses: {message}. Name the role that owns the tables in "
            "ORBIT_OWNER_DATABASE_URL, and run `manage.py migrate`."
        )
    return None


def _away(error: Exception) -> str:
    server, variable = _blamed()
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    address = server["HOST"] or "the local socket"
    if server["PORT"]:
        address += f":{server['PORT']}"
    if availability.is_wrong_server(error):
        return (
            f"The database {server['NAME']!r} at {address} is read-only: {reason}. "
            f"Name the primary in {variable}, or all servers with commas between them. If it is "
            "the primary, default_transaction_read_only is on for the database or the role."
        )
    if availability.sqlstate(error):
        return (
            f"The database {server['NAME']!r} at {address} can't do this now: {reason}. "
            "Run the command again."
        )
    return (
        f"Can't reach the database {server['NAME']!r} at {address}: {reason}. "
        f"Check that the server runs and that {variable} names it."
    )


def _blamed() -> tuple[dict[str, Any], str]:
    """Return the settings and the variable of the database that is away."""
    if "telemetry" in connections.settings:
        # The error doesn't say which one it is about.
        with suppress(DatabaseError, InterfaceError):
            connection.close()
            with connection.cursor() as cursor:
                cursor.execute(availability.IS_READ_ONLY)
                if cursor.fetchone() == (False,):
                    second = connections["telemetry"].settings_dict
                    return second, "ORBIT_TELEMETRY_DATABASE_URL"
    return connection.settings_dict, "DATABASE_URL"
