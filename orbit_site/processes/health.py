"""``manage.py health ROLE``: is it well, asked from beside, by containers and process managers.

It is asked every few seconds, so it goes without Django: a tenth of a second of a core. Exit code 0 is well, 1 is not, with a sentence.
"""

import argparse
import http.client
import socket
import sys
from collections.abc import Callable, Mapping

from orbit_site.processes import pg_paths
from orbit_site.settings import environment

PATIENCE_SECONDS = 5
#: As the console and /ready have it: three missed signs of life, and a cluster counts as gone.
SILENT_SECONDS = 15
LAST_SIGN = "SELECT extract(epoch FROM now() - max(seen_at)) FROM orbit_clusternode WHERE host = %s"


def main(arguments: list[str]) -> int:
    """Run with the arguments of the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="manage.py health")
    add_arguments(parser)
    return run(parser.parse_args(arguments).role)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "role",
        choices=sorted(ROLES),
        help="web: it answers; cluster: one of this host is alive; up: both, and the database is ready",
    )


def run(role: str) -> int:
    """Ask, say what is wrong on stderr, return 0 or 1."""
    wrong = ROLES[role]()
    if wrong:
        print(f"orbit: {wrong}", file=sys.stderr)
    return 1 if wrong else 0


def web(path: str = "/health") -> str:
    """Return nothing when the web server of this machine answers ``path`` with 200, else what it says instead."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(environment.BIND, environment.BIND)  # noqa: S104 - it is compared, nothing listens
    host = next(
        (name.lstrip(".") for name in environment.ALLOWED_HOSTS if name != "*"), "localhost"
    )
    connection = http.client.HTTPConnection(address, environment.PORT, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", path, headers={"Host": host})
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
    """Return nothing when a cluster on this host gave a sign of life lately, else what is wrong. One that drains lives."""
    import psycopg

    url = environment.DATABASE_URL or pg_paths.locate(environment.VAR_DIR).url()
    place = environment.database_url(url, "DATABASE_URL")
    where = {name: place[key] for name, key in (("dbname", "NAME"), ("user", "USER"), ("password", "PASSWORD"), ("host", "HOST"), ("port", "PORT"))
             if place.get(key)}  # fmt: skip
    options = (
        f"-c search_path={environment.DATABASE_SCHEMA} -c statement_timeout={PATIENCE_SECONDS}s"
    )
    here = socket.gethostname()
    try:
        with psycopg.connect(
            **{"connect_timeout": PATIENCE_SECONDS, "options": options, **where, **place["OPTIONS"]}
        ) as connection:
            (silent,) = connection.execute(LAST_SIGN, [here]).fetchone() or (None,)
    except psycopg.Error as error:
        return f"the database can't be asked ({' '.join(str(error).split())})"
    if silent is None:
        return f"no cluster of the host {here} is known"
    return (
        ""
        if silent <= SILENT_SECONDS
        else f"the last cluster of the host {here} was silent for {silent:.0f} s"
    )


def ready() -> str:
    """Return nothing when the database is ready and web and cluster run, else what is wrong."""
    return web("/ready?cluster=1")


ROLES: Mapping[str, Callable[[], str]] = {"web": web, "cluster": cluster, "up": ready}
