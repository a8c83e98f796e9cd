"""What ``check --deploy`` says about an installation beside Django's own findings; docs/deploy.md has the same list as a checklist.

Each finding is one line with a way out. Some ask the database, which is a question of a tenth of a second; where it can't be reached, that
is the finding.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Warning, register
from django.db import Error, connection

from governance.kernel.errors import OrbitError
from orbit.dispatch import endpoints

SHORTEST_TOKEN = 20
LOCAL_HOSTS = {"", "localhost", "127.0.0.1", "::1"}
#: Every finding of ours: what is wrong, and what to do.
FINDINGS = {
    "orbit.W001": (
        "The running processes use the role that owns the tables.",
        "Name the owner in ORBIT_OWNER_DATABASE_URL, and in DATABASE_URL a role that owns nothing; `migrate` grants it what it needs.",
    ),
    "orbit.W002": (
        "ORBIT_ENV isn't production: keys may be made here, and the session's cookie goes over plain http.",
        "Set ORBIT_ENV=production.",
    ),
    "orbit.W003": (
        "The database is the embedded one: one machine, no replica, no point-in-time recovery.",
        "Point DATABASE_URL at a PostgreSQL server.",
    ),
    "orbit.W004": (
        "ORBIT_ALLOWED_HOSTS lets every host name in.",
        "Name the hosts that your users and programs use.",
    ),
    "orbit.W005": (
        "ORBIT_TRUSTED_PROXIES believes everybody's X-Forwarded-Proto.",
        "Name the addresses or networks of your proxies.",
    ),
    "orbit.W006": (
        "No encryption key is set: it is derived from the secret key, so neither can be changed alone.",
        "Set ORBIT_ENCRYPTION_KEYS.",
    ),
    "orbit.W007": (
        "No endpoint is configured: nothing is delivered.",
        "Set ORBIT_DISPATCH_ENDPOINTS.",
    ),
    "orbit.W008": ("The endpoints can't be used.", "`manage.py config check` says why."),
    "orbit.W009": (
        "Deliveries go out over plain http, with their token.",
        "Use https for the endpoints named here.",
    ),
    "orbit.W010": (
        "A delivery may take longer than a drain, and be cut off in the middle by a restart.",
        "Make ORBIT_DRAIN_SECONDS longer than total_timeout of the endpoints named here, or shorten that.",
    ),
    "orbit.W011": ("Log lines aren't JSON.", "Leave ORBIT_LOG_FORMAT empty, or set it to json."),
    "orbit.W012": (
        f"There is no token for /metrics, or one of less than {SHORTEST_TOKEN} characters.",
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
        "The running processes' role is a superuser, or may act as the tables' owner: it could switch off what keeps the audit trail append-only.",
        "Give the processes a role that is no superuser, owns no table and is no member of the owner.",
    ),
    "orbit.W016": (
        "The server is a standby, or read only by default.",
        "Name the primary in DATABASE_URL (a cluster's writer, not its reader endpoint).",
    ),
    "orbit.W017": (
        "The server acknowledges commits that a power failure can take back (fsync, full_page_writes or synchronous_commit is off).",
        "Switch all three on, for the server, the database and the role.",
    ),
    "orbit.W018": (
        "The connection to the database crosses a network without TLS.",
        "Add ?sslmode=verify-full (or sslmode=disable, if you know why) to DATABASE_URL.",
    ),
    "orbit.W019": (
        "No active user is an administrator of the console.",
        "`manage.py user create NAME --role administrator`.",
    ),
}


def checklist() -> str:
    """Return the findings as a list to tick off, for docs/deploy.md."""
    return "\n".join(f"* [ ] `{name}` {text} {hint}" for name, (text, hint) in FINDINGS.items())


def _found(number: int, about: str = "") -> CheckMessage:
    name = f"orbit.W{number:03}"
    text, hint = FINDINGS[name]
    return Warning(f"{text} ({about})" if about else text, hint=hint, id=name)


@register(deploy=True)
def settings_of_production(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Return what the settings alone show."""
    wrong = {
        1: settings.DATABASES["default"]["USER"] == settings.ORBIT_OWNER_DATABASE["USER"],
        2: settings.ORBIT_ENV != "production",
        3: settings.ORBIT_EMBEDDED_DATABASE,
        4: "*" in settings.ALLOWED_HOSTS,
        5: "*" in settings.ORBIT_TRUSTED_PROXIES,
        6: settings.ORBIT_KEYS_ARE_DERIVED,
        11: settings.ORBIT_LOG_FORMAT != "json",
        12: len(settings.ORBIT_METRICS_TOKEN) < SHORTEST_TOKEN,
        13: settings.ORBIT_GLOBAL_PAUSE,
    }
    return [_found(number) for number, is_so in wrong.items() if is_so]


@register(deploy=True)
def where_deliveries_go(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Return what is to be said about the endpoints."""
    try:
        found, _ = endpoints.parse(
            settings.ORBIT_DISPATCH_ENDPOINTS, settings.ORBIT_DISPATCH_ALLOWED_HOSTS
        )
    except OrbitError:
        return [_found(8)]
    if not found:
        return [_found(7)]
    plain = [key for key, endpoint in found.items() if urlsplit(endpoint.url).scheme == "http"]
    slow = [
        key
        for key, endpoint in found.items()
        if endpoint.total_timeout >= settings.ORBIT_DRAIN_SECONDS
    ]
    return [
        _found(number, ", ".join(sorted(keys))) for number, keys in ((9, plain), (10, slow)) if keys
    ]


@register(deploy=True)
def what_the_database_says(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Return what only the database knows. An embedded one isn't started for this."""
    if settings.ORBIT_EMBEDDED_DATABASE:
        return []
    try:
        return [_found(number) for number in _asked()]
    except Error as error:
        return [_found(14, " ".join(str(error).split())[:200])]


_SERVER = """
    SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
           OR EXISTS (SELECT FROM pg_class AS c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
                      AND c.relname = 'governance_audittrailentry' AND pg_has_role(c.relowner, 'MEMBER')),
           pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on',
           'off' IN (current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit')),
           coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)"""


def _asked() -> Iterator[int]:
    with connection.cursor() as cursor:
        cursor.execute(_SERVER)
        powerful, read_only, forgetful, encrypted = cursor.fetchone()
    # Who uses the owner's role on purpose or for want of another hears it once: from W001.
    if powerful and settings.DATABASES["default"]["USER"] != settings.ORBIT_OWNER_DATABASE["USER"]:
        yield 15
    if read_only:
        yield 16
    if forgetful:
        yield 17
    place = settings.DATABASES["default"]
    if (
        not encrypted
        and place["HOST"] not in LOCAL_HOSTS
        and not place["HOST"].startswith("/")
        and place["OPTIONS"].get("sslmode") != "disable"
    ):
        yield 18
    if not get_user_model().objects.filter(is_active=True, groups__name="Administrator").exists():
        yield 19
