"""The findings of ``check --deploy``; docs/deploy.md lists them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Warning
from django.db import Error
from django.db.models import Q

from governance.kernel import sequences, sql
from governance.kernel.errors import OrbitError
from orbit.dispatch import endpoints
from orbit.profiles import autonomy_file
from telemetry import database as telemetry

SERVER_FACTS = sql.load(__name__, "server_facts")
SHORTEST_TOKEN = 20
LOCAL_HOSTS = {"", "localhost", "127.0.0.1", "::1"}
#: Each finding: what is wrong, and what to do.
FINDINGS = {
    "orbit.W001": (
        "The running processes use the role that owns the tables.",
        "Name the owner in ORBIT_OWNER_DATABASE_URL, and a role that owns nothing in DATABASE_URL; "
        "`migrate` grants it what it needs.",
    ),
    "orbit.W002": (
        "ORBIT_ENV isn't production: keys may be generated, and the session cookie goes over http.",
        "Set ORBIT_ENV=production.",
    ),
    "orbit.W003": (
        "The database is embedded: one machine, no replica, no point-in-time recovery.",
        "Point DATABASE_URL at a PostgreSQL server.",
    ),
    "orbit.W004": (
        "ORBIT_ALLOWED_HOSTS allows every host name.",
        "Name the hosts that browsers and programs use.",
    ),
    "orbit.W005": (
        "ORBIT_TRUSTED_PROXIES trusts the X-Forwarded-Proto of every client.",
        "Name the addresses or networks of your proxies.",
    ),
    "orbit.W006": (
        "The encryption key is derived from the secret key, so neither can be changed alone.",
        "Set ORBIT_ENCRYPTION_KEYS.",
    ),
    "orbit.W007": (
        "No endpoint is configured: nothing is delivered.",
        "Set ORBIT_DISPATCH_ENDPOINTS.",
    ),
    "orbit.W008": ("The endpoints are invalid.", "Run `manage.py config check` to see why."),
    "orbit.W009": (
        "Deliveries, with their token, go over plain http.",
        "Use https for the endpoints named here.",
    ),
    "orbit.W010": (
        "A delivery may take longer than a drain, so a restart may cut it off.",
        "Make ORBIT_DRAIN_SECONDS longer than the total_timeout of the endpoints named here, "
        "or shorten that.",
    ),
    "orbit.W011": ("Log lines aren't JSON.", "Leave ORBIT_LOG_FORMAT empty, or set it to json."),
    "orbit.W012": (
        f"The token for /metrics is missing or shorter than {SHORTEST_TOKEN} characters.",
        "Set ORBIT_METRICS_TOKEN for the scraper.",
    ),
    "orbit.W013": (
        "ORBIT_GLOBAL_PAUSE is set: no trigger is accepted, no cycle goes on.",
        "Unset it when the pause is over.",
    ),
    "orbit.W014": (
        "The database can't be reached, so its contents weren't checked.",
        "Run this where the database can be reached and is migrated.",
    ),
    "orbit.W015": (
        "The running processes' role is a superuser or may act as the tables' owner: "
        "it could disable what keeps the audit trail append-only.",
        "Use a role that is not a superuser, owns no table and is not a member of the owner.",
    ),
    "orbit.W016": (
        "The server is a standby, or read only by default.",
        "Name the primary in DATABASE_URL (a cluster's writer, not its reader endpoint).",
    ),
    "orbit.W017": (
        "A power failure can take back commits: "
        "fsync, full_page_writes or synchronous_commit is off.",
        "Turn all three on, for the server, the database and the role.",
    ),
    "orbit.W018": (
        "The connection to the database crosses a network without TLS.",
        "Add ?sslmode=verify-full to DATABASE_URL (or sslmode=disable, if you know why).",
    ),
    "orbit.W019": (
        "No active user is an administrator of the whole workspace.",
        "Run `manage.py user create NAME --role administrator`, or give one back the workspace: "
        "`manage.py user change NAME --whole-workspace`.",
    ),
    "orbit.W020": (
        "A sequence is nearly out of numbers.",
        "Widen it: `ALTER SEQUENCE ... AS bigint NO MAXVALUE`, and the column that it fills.",
    ),
    "orbit.W021": (
        "autonomy.json is invalid: none of its policies acts, and the next start fails.",
        "Run `manage.py config check` to see why.",
    ),
}


def checklist() -> str:
    """Return the findings as a Markdown checklist."""
    return "\n".join(f"* [ ] `{name}` {text} {hint}" for name, (text, hint) in FINDINGS.items())


def _warning(number: int, about: str = "") -> CheckMessage:
    name = f"orbit.W{number:03}"
    text, hint = FINDINGS[name]
    return Warning(f"{text} ({about})" if about else text, hint=hint, id=name)


def findings() -> list[CheckMessage]:
    """Return all findings."""
    return [
        *settings_of_production(),
        *endpoints_of_production(),
        *database_of_production(),
        *second_database_of_production(),
    ]


def settings_of_production() -> list[CheckMessage]:
    """Return the findings about settings."""
    problems = {
        1: settings.DATABASES["default"]["USER"] == settings.ORBIT_OWNER_DATABASE["USER"],
        2: settings.ORBIT_ENV != "production",
        3: settings.ORBIT_EMBEDDED_DATABASE,
        4: "*" in settings.ALLOWED_HOSTS,
        5: "*" in settings.ORBIT_TRUSTED_PROXIES,
        6: settings.ORBIT_KEYS_ARE_DERIVED,
        11: settings.ORBIT_LOG_FORMAT != "json",
        12: len(settings.ORBIT_METRICS_TOKEN) < SHORTEST_TOKEN,
        13: settings.ORBIT_GLOBAL_PAUSE,
        21: bool(autonomy_file.read(Path(settings.ORBIT_CONFIG_DIR))[1]),
    }
    return [_warning(number) for number, is_problem in problems.items() if is_problem]


def endpoints_of_production() -> list[CheckMessage]:
    """Return the findings about endpoints."""
    try:
        by_key, _ = endpoints.parse(
            settings.ORBIT_DISPATCH_ENDPOINTS, settings.ORBIT_DISPATCH_ALLOWED_HOSTS
        )
    except OrbitError:
        return [_warning(8)]
    if not by_key:
        return [_warning(7)]
    plain = [key for key, endpoint in by_key.items() if urlsplit(endpoint.url).scheme == "http"]
    slow = [
        key
        for key, endpoint in by_key.items()
        if endpoint.total_timeout >= settings.ORBIT_DRAIN_SECONDS
    ]
    return [
        _warning(number, ", ".join(sorted(keys)))
        for number, keys in ((9, plain), (10, slow))
        if keys
    ]


def database_of_production() -> list[CheckMessage]:
    """Return the findings about the database."""
    # W003 covers an embedded one; it isn't started for a check.
    if settings.ORBIT_EMBEDDED_DATABASE:
        return []
    try:
        used = [_warning(20, name) for name in sequences.nearly_used()]
        return [_warning(number) for number in _database_problems()] + used
    except Error as error:
        return [_warning(14, " ".join(str(error).split())[:200])]


def second_database_of_production() -> list[CheckMessage]:
    """Return the findings about telemetry's own database, which owns its tables."""
    if not telemetry.IS_SEPARATE:
        return []
    variable = "ORBIT_TELEMETRY_DATABASE_URL"
    try:
        [(_, read_only, unsafe_commits, encrypted)] = replace(
            SERVER_FACTS, using=telemetry.ALIAS
        ).rows()
    except Error as error:
        return [_warning(14, f"{variable}: {' '.join(str(error).split())[:200]}")]
    problems = {
        16: read_only,
        17: unsafe_commits,
        18: _crosses_a_network(settings.DATABASES[telemetry.ALIAS]) and not encrypted,
    }
    return [_warning(number, variable) for number, is_problem in problems.items() if is_problem]


def _crosses_a_network(database: dict[str, Any]) -> bool:
    """Tell whether its connections leave this machine, and may not without TLS."""
    return (
        database["HOST"] not in LOCAL_HOSTS
        and not database["HOST"].startswith("/")
        and database["OPTIONS"].get("sslmode") != "disable"
    )


def _database_problems() -> Iterator[int]:
    [(privileged, read_only, unsafe_commits, encrypted)] = SERVER_FACTS.rows()
    # W001 already reports the owner's role.
    if (
        privileged
        and settings.DATABASES["default"]["USER"] != settings.ORBIT_OWNER_DATABASE["USER"]
    ):
        yield 15
    if read_only:
        yield 16
    if unsafe_commits:
        yield 17
    if not encrypted and _crosses_a_network(settings.DATABASES["default"]):
        yield 18
    administrators = get_user_model().objects.filter(
        Q(groups__name="Administrator") | Q(is_superuser=True), is_active=True
    )
    # One who is confined to namespaces can't manage users.
    if not administrators.filter(workspace_grant__isnull=False).exists():
        yield 19
