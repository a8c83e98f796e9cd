"""The way in for every command: the embedded database where one is needed, and plain words in place of tracebacks."""

import sys

if not (3, 11) <= sys.version_info[:2] < (3, 15):
    sys.exit(
        "orbit: Python 3.11 to 3.14 is needed; this is "
        + sys.version.split()[0]
        + ". Use the one in .venv (`make setup` makes it)."
    )

import signal
from contextlib import AbstractContextManager, nullcontext
from types import FrameType

from django.core.exceptions import ImproperlyConfigured

from governance.kernel.errors import OrbitError
from orbit_site.processes import postgres

OLDEST_SERVER = 15
#: Commands that read no table. `up` has its own way with the database.
WITHOUT_DATABASE = {"help", "version", "check", "up", "health", "diffsettings", "findstatic"}
REFUSED = 2


def run(argv: list[str]) -> int:
    """Run the command line and return its exit code; 2, with one line on stderr, for a setting or a database that it can't work with.

    Without ``DATABASE_URL`` the embedded PostgreSQL runs meanwhile; the last command that uses it stops it.
    """
    try:
        if argv[1:2] == ["up"] and not asks_for_help(argv):
            # Without Django: it only watches processes, for weeks, and would carry 40 MB for nothing.
            from orbit_site.processes import up

            return up.main(argv[2:])
        if argv[1:2] == ["health"] and not asks_for_help(argv):
            # Without Django: it is asked every few seconds.
            from orbit_site.processes import health

            return health.main(argv[2:])
        return _run_django(argv)
    except ImproperlyConfigured as error:
        return _refuse(str(error))
    except OrbitError as error:
        # Some refusals say everything in their text already.
        more = [
            f"{found['pointer']}: {found['detail']}"
            for found in error.errors
            if found["detail"] not in error.detail
        ]
        return _refuse("\n  ".join([error.detail, *more]))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def needs_database(argv: list[str]) -> bool:
    """Whether the command line names a command that reads or writes tables."""
    if len(argv) < 2 or asks_for_help(argv):
        return False
    return argv[1] not in WITHOUT_DATABASE or "--database" in argv


def asks_for_help(argv: list[str]) -> bool:
    """Whether the command line only asks what there is."""
    return bool({"-h", "--help", "--version"} & set(argv[1:]))


def _run_django(argv: list[str]) -> int:
    from django.core.management import execute_from_command_line
    from django.db import InterfaceError, OperationalError, ProgrammingError
    from django.db.migrations.exceptions import MigrationSchemaMissing

    try:
        with _database(argv):
            execute_from_command_line(argv)
    except (ProgrammingError, MigrationSchemaMissing) as error:
        known = _unprepared(error)
        if known is None:
            raise
        return _refuse(known)
    except (OperationalError, InterfaceError) as error:
        if getattr(error.__cause__, "sqlstate", None):
            raise  # the server answered: this is about a statement, not about reaching it
        return _refuse(_unreachable(error))
    return 0


def _database(argv: list[str]) -> AbstractContextManager[object]:
    from orbit_site.settings import environment

    if not needs_database(argv):
        return nullcontext()
    if not environment.DATABASE_URL:
        # So that the server is stopped after `kill` too; web and cluster, which drain, put their own handler in its place.
        signal.signal(signal.SIGTERM, _leave)
        return postgres.held(environment.VAR_DIR)
    _refuse_old_server()
    return nullcontext()


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _refuse_old_server() -> None:
    import django
    from django.db import NotSupportedError, connection

    django.setup()
    mend = f"Orbit needs {OLDEST_SERVER} or newer: upgrade the server, or point DATABASE_URL at another."
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('server_version_num')::int / 10000")
            (found,) = cursor.fetchone()
    except NotSupportedError as error:  # Django's own limit, which is lower
        raise ImproperlyConfigured(f"{error} {mend}") from error
    if found < OLDEST_SERVER:
        raise ImproperlyConfigured(f"The database server is PostgreSQL {found}. {mend}")


def _unprepared(error: Exception) -> str | None:
    """Say what a database lacks that nobody migrated, or whose tables are somebody else's; None for any other error."""
    from psycopg import errors

    # Django's own exception names the driver's as its cause, a failed migration names Django's as its context.
    within = error.__cause__ or getattr(error.__context__, "__cause__", None)
    said = str(within).strip().partition("\n")[0]
    if isinstance(within, errors.UndefinedTable):
        return f"The database isn't migrated: {said}. Run `manage.py migrate`; ORBIT_DATABASE_SCHEMA names the schema."
    if isinstance(within, errors.InsufficientPrivilege):
        return f"The database refuses: {said}. Name the role that owns the tables in ORBIT_OWNER_DATABASE_URL, and run `manage.py migrate`."
    return None


def _unreachable(error: Exception) -> str:
    from django.db import connection

    at = connection.settings_dict
    lines = str(error).strip().splitlines() or [type(error).__name__]
    where = f"{at['HOST'] or 'the local socket'}{':' + str(at['PORT']) if at['PORT'] else ''}"
    return f"Can't reach the database {at['NAME']!r} at {where}: {lines[0]}. Check that the server runs and that DATABASE_URL names it."


def _refuse(message: str) -> int:
    print(f"orbit: {message}", file=sys.stderr)
    return REFUSED
