"""Reads PostgreSQL URLs with libpq's own parser, and checks what it would find at a connection.

Messages name the variable and the parameter, not the URL: it may hold a password, and a character
that isn't escaped moves parts of it into host, port or database.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psycopg
from django.core.exceptions import ImproperlyConfigured
from psycopg import conninfo, pq

_FORM = "postgresql://user:password@host:5432/database"

#: A connection whose server has vanished without a goodbye breaks within about ten seconds instead
#: of hours. On a Unix socket these do nothing.
VANISHED_SERVER = {
    "tcp_user_timeout": 10_000,  # milliseconds that sent data may wait for its receipt
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
#: What the statements depend on, whatever server, database and role have as their defaults.
DEPENDED_ON: Mapping[str, str] = {
    "DateStyle": "ISO,MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "array_nulls": "on",
    "bytea_output": "hex",
    "default_transaction_deferrable": "off",
    "default_transaction_isolation": r"read\ committed",
    "extra_float_digits": "1",
    "row_security": "on",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
}
_OURS = {"search_path", "client_encoding", "role", "session_authorization", *DEPENDED_ON}
_NUMBERS = {
    "connect_timeout",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "tcp_user_timeout",
}
_FILES = {"sslrootcert", "sslcert", "sslkey", "sslcrl"}
_OWN_PLACE = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST"}


class _Wrong(Exception):
    """What is wrong with a URL; the variable's name goes in front."""


def parse(url: str, name: str) -> dict[str, Any]:
    """Return Django's settings for the ``url`` in the variable ``name``.

    Raises ImproperlyConfigured.
    """
    try:
        parameters = _parameters(url)
        _check_values(parameters)
    except _Wrong as wrong:
        raise ImproperlyConfigured(f"{name} {wrong}") from None
    config: dict[str, Any] = {
        key: parameters.pop(parameter, "") for parameter, key in _OWN_PLACE.items()
    }
    config["PORT"] = parameters.pop("port", "")
    options = {key: int(v) if key in _NUMBERS else v for key, v in parameters.items()}
    if "," in config["HOST"]:
        # Of several servers only the primary will do, also after a failover.
        options.setdefault("target_session_attrs", "read-write")
    return {**config, "OPTIONS": options, "ENGINE": "django.db.backends.postgresql"}


def server_options(config: Mapping[str, Any], *, schema: str, **settings: object) -> str:
    """Return libpq's ``options`` with ``settings`` of the server; those in the URL win.

    None can take away what the statements depend on: ``parse`` refuses it.
    """
    # Of two values for a setting the server takes the later one.
    ours = {"search_path": schema, "lock_timeout": 0, "idle_session_timeout": 0, **settings}
    words = [f"-c {name}={value}" for name, value in {**ours, **DEPENDED_ON}.items()]
    return " ".join([*words, config["OPTIONS"].get("options", "")]).rstrip()


def _parameters(url: str) -> dict[str, str]:
    scheme = re.match(r"postgres(?:ql)?://", url, re.IGNORECASE)
    if scheme is None:
        raise _Wrong("must start with postgresql://. Orbit runs on PostgreSQL only.")
    rest = url[scheme.end() :]
    if re.search(r"%(?![0-9A-Fa-f]{2})", rest):
        raise _Wrong("has a % that escapes nothing. Write %25 for a % in the password.")
    authority, slash, place = rest.partition("/")
    user, at, host = authority.rpartition("@")
    if re.search(r"@[^@,]*,[^@,:]*:", user):
        raise _Wrong("names user and password for each host. Write them once: u:p@one,two.")
    if "?" not in authority:
        if not at and "@" in place.partition("?")[0]:
            raise _Wrong("has a / before the @. Write %2F for a / in the password.")
        # libpq takes the first @ as the end of the password. The last one is meant.
        rest = user.replace("@", "%40") + at + host + slash + place
    _check_names((rest.rpartition("@")[2] if at else rest).partition("?")[2])
    try:
        read = conninfo.conninfo_to_dict(f"postgresql://{rest}")
    except UnicodeDecodeError:
        raise _Wrong("escapes a byte that isn't UTF-8. Write %C3%BC for \u00fc.") from None
    except psycopg.ProgrammingError:
        raise _Wrong(f"can't be read. Write {_FORM}.") from None
    parameters = {key: str(value) for key, value in read.items() if value}
    if not parameters.get("dbname"):
        raise _Wrong(f"names no database. Write {_FORM}.")
    return parameters


def _check_names(query: str) -> None:
    # `ssl` is what others call it: libpq makes sslmode=require of ssl=true.
    keywords = {option.keyword.decode() for option in pq.Conninfo.get_defaults()} | {"ssl"}
    keywords -= {"replication"}
    given = [unquote(part.partition("=")[0]) for part in query.split("&")] if query else []
    for key in given:
        if key not in keywords and ("@" in query or not key.isidentifier()):
            # Maybe the rest of a password.
            raise _Wrong(
                "has something else behind its ? than parameters. Write ?name=value&name=value, "
                "and %2F and %3F for a / and a ? in the password."
            )
        if key not in keywords:
            near = difflib.get_close_matches(key.lower(), keywords, n=1)
            hint = f"Did you mean {near[0]}?" if near else "Remove it."
            raise _Wrong(f"has the parameter {key[:40]!r}, which PostgreSQL doesn't know. {hint}")
        if given.count(key) > 1:
            raise _Wrong(f"has the parameter {key} twice. Remove one.")


def _check_values(parameters: dict[str, str]) -> None:
    for port in parameters.get("port", "").split(","):
        if port and not (re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65536):
            raise _Wrong(
                "has a port that is no number between 1 and 65535. "
                "If it is part of the password, escape what is before it: : is %3A, @ is %40."
            )
    for key in _NUMBERS & parameters.keys():
        if not re.fullmatch(r"-?[0-9]{1,9}", parameters[key]):
            raise _Wrong(f"has a {key} that is no whole number.")
    for key in sorted(_FILES & parameters.keys()):
        path = parameters[key]
        if path != "system" and not Path(path).is_file():
            raise _Wrong(f"names the {key} {path!r}, and there is no such file.")
    if parameters.pop("client_encoding", "utf8").lower().replace("-", "") != "utf8":
        raise _Wrong("sets client_encoding. Orbit always uses UTF8: remove it.")
    _check_settings(parameters.get("options", ""))
    _try(parameters)


def _check_settings(options: str) -> None:
    for setting in _settings(options):
        if setting == "search_path":
            raise _Wrong(
                "sets search_path in its options. Name the schema in ORBIT_DATABASE_SCHEMA instead."
            )
        if setting in {name.lower() for name in _OURS}:
            raise _Wrong(f"sets {setting} in its options, which Orbit sets itself. Remove it.")


def _settings(options: str) -> Iterator[str]:
    for match in re.finditer(r"(?:^|\s)(?:-c\s*|--)([\w-]+)\s*=", options):
        yield match[1].lower().replace("-", "_")


def _try(parameters: Mapping[str, str]) -> None:
    """Let libpq check the other values: it does before it looks for the server."""
    own = {"host", "hostaddr", "port", "user", "password", "dbname", "options", "service"}
    others = {key: value for key, value in parameters.items() if key not in own}
    if not others:
        return
    text = conninfo.make_conninfo("", **{**others, "host": "/nonexistent", "port": "1"})
    connection = pq.PGconn.connect(text.encode())
    message = connection.error_message.decode(errors="replace")
    connection.finish()
    match = re.match(r"invalid (\w+) value", message)
    if match and match[1] in others:  # else it is in a variable of libpq's own
        raise _Wrong(f"has {match[1]}={others[match[1]]!r}, which is not one of its values.")
