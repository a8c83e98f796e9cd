"""``manage.py health ROLE``: a health check for process managers, without Django."""

import argparse
import http.client
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any

from governance.kernel import terminal
from orbit_site.processes import pg_paths
from orbit_site.settings import environment

TIMEOUT_SECONDS = 5
#: Three missed heartbeats, as on the console and in /ready.
SILENT_SECONDS = 15
LAST_HEARTBEAT = (
    "SELECT extract(epoch FROM now() - max(seen_at)) FROM orbit_clusternode WHERE host = %s"
)


def main(arguments: list[str]) -> int:
    """Run with the command line's arguments; return the exit code."""
    parser = argparse.ArgumentParser(prog="manage.py health")
    add_arguments(parser)
    return run(parser.parse_args(arguments).role)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "role",
        choices=sorted(ROLES),
        help="web: it answers; cluster: one of this host is alive; "
        "up: both, and the database is ready",
    )


def run(role: str) -> int:
    """Check, print the problem to stderr, return 0 or 1."""
    problem = ROLES[role]()
    if problem:
        print(f"orbit: {terminal.escape(problem)}", file=sys.stderr)
    return 1 if problem else 0


def web(path: str = "/health") -> str:
    """Return the problem with the web server, or ""."""
    bind = environment.ORBIT_BIND
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104 - all interfaces
    connection = http.client.HTTPConnection(
        address, environment.ORBIT_PORT, timeout=TIMEOUT_SECONDS
    )
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read(2000).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"the web server doesn't answer yet ({error})"
    finally:
        connection.close()
    return (
        "" if answer.status == 200 else f"{path.partition('?')[0]} answers {answer.status}: {body}"
    )


def cluster() -> str:
    """Return the problem with the clusters on this host, or ""."""
    import psycopg

    host = socket.gethostname()
    try:
        with psycopg.connect(**_connection_parameters()) as connection:
            (silence,) = connection.execute(LAST_HEARTBEAT, [host]).fetchone() or (None,)
    except psycopg.Error as error:
        return f"can't query the database ({' '.join(str(error).split())})"
    if silence is None:
        return f"there is no cluster on host {host}"
    if silence > SILENT_SECONDS:
        return f"the last cluster on host {host} has been silent for {silence:.0f} s"
    return ""


def _connection_parameters() -> dict[str, Any]:
    from orbit_site.settings import database_urls

    url = environment.DATABASE_URL or pg_paths.locate(environment.VAR_DIR).url()
    config = database_urls.parse(url, "DATABASE_URL")
    keys = {
        "dbname": "NAME",
        "user": "USER",
        "password": "PASSWORD",
        "host": "HOST",
        "port": "PORT",
    }
    return {
        "connect_timeout": TIMEOUT_SECONDS,
        **database_urls.VANISHED_SERVER,
        **{name: config[key] for name, key in keys.items() if config.get(key)},
        **config["OPTIONS"],
        "client_encoding": "UTF8",
        "options": database_urls.server_options(
            config,
            schema=environment.ORBIT_DATABASE_SCHEMA,
            statement_timeout=f"{TIMEOUT_SECONDS}s",
        ),
    }


def ready() -> str:
    """Return the problem with database, web server or cluster, or ""."""
    return web("/ready?cluster=1")


ROLES: Mapping[str, Callable[[], str]] = {"web": web, "cluster": cluster, "up": ready}
