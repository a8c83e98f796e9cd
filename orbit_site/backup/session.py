"""How pg_dump connects: to the server of our session, and never less protected than that."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection
from psycopg import pq
from psycopg.conninfo import make_conninfo

from orbit_site.backup import programs

# For Orbit's own sessions, or secret. pg_dump sets its own time-outs.
_LEFT_OUT = {"options", "application_name", "password", "sslpassword"}
#: These fall back to clear text, or begin with it.
_WEAK_MODES = {"disable", "allow", "prefer"}
_GSS = "SELECT encrypted FROM pg_stat_gssapi WHERE pid = pg_backend_pid()"


@dataclass(frozen=True)
class Session:
    """What pg_dump needs to connect as we did."""

    parameters: dict[str, str]  # without secrets
    password: str
    key_password: str

    def conninfo(self) -> str:
        """Return the connection string."""
        return make_conninfo("", **self.parameters, fallback_application_name="orbit backup")

    @contextmanager
    def environment(self) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
        """Yield variables with the secrets, and file descriptors that they name.

        Every account of the machine can read a command line.
        """
        variables = programs.environment()
        if self.password:
            variables["PGPASSWORD"] = self.password
        if not self.key_password:
            yield variables, ()
            return
        # It has no variable. A file without a name serves, and nothing is left of it.
        with tempfile.TemporaryFile() as file:
            file.write(f"[orbit]\nsslpassword={self.key_password}\n".encode())
            file.flush()
            variables |= {"PGSERVICEFILE": f"/dev/fd/{file.fileno()}", "PGSERVICE": "orbit"}
            yield variables, (file.fileno(),)


def current() -> Session:
    """Describe our session with the database."""
    keywords = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    given: dict[str, Any] = {
        key: value for key, value in connection.get_connection_params().items() if key in keywords
    }
    connection.ensure_connection()
    pgconn = connection.connection.pgconn
    used = {option.keyword.decode(): option.val for option in pgconn.info}
    plain = {key: str(value) for key, value in given.items() if key not in _LEFT_OUT}
    if plain.pop("service", "") or os.environ.get("PGSERVICE"):
        # Ours may take the service's place below.
        plain |= {
            key: value.decode()
            for key, value in used.items()
            if value and key in keywords - _LEFT_OUT - {"service", "servicefile"}
        }
    # Of several servers, only ours has the snapshot. The name stays: certificates have it.
    plain |= {"host": pgconn.host.decode(), "port": pgconn.port.decode()}
    plain.pop("hostaddr", None)
    if pgconn.hostaddr:
        plain["hostaddr"] = pgconn.hostaddr.decode()
    plain["sslmode"] = (used.get("sslmode") or b"prefer").decode()
    if pgconn.ssl_in_use and plain["sslmode"] in _WEAK_MODES:
        plain["sslmode"] = "require"
    elif _uses_gss():
        plain["gssencmode"] = "require"
    return Session(
        plain, given.get("password") or pgconn.password.decode(), given.get("sslpassword") or ""
    )


def _uses_gss() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_GSS)
        return bool(cursor.fetchone() == (True,))
