"""The environment variables, read once. To add a variable, add it here.

Each name is a Django setting. Apps read ``ORBIT_*``; only the settings read the others.
"""

import os
import re
from pathlib import Path

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from governance.kernel import cron_fields
from orbit_site.settings import hosts, libpq, origins, variables
from orbit_site.settings.variables import (
    boolean,
    choice,
    integer,
    items,
    number,
    password,
    text,
    url,
)

BASE_DIR, VAR_DIR = variables.BASE_DIR, variables.VAR_DIR

ORBIT_ENV = choice(
    "ORBIT_ENV",
    "development",
    "Where this runs. `production` refuses to start without keys, host names and a database.",
    ("development", "production", "test"),
)
PRODUCTION = ORBIT_ENV == "production"

DATABASE_URL = text(
    "DATABASE_URL",
    "",
    "`postgresql://user:password@host:5432/database` (15 or newer); `?host=/dir` names a socket "
    "folder. Of several hosts (`one,two`), connections go to the one that accepts writes. "
    "Empty: an embedded PostgreSQL in `var/postgres/`.",
)
#: Variables of libpq that have no effect, for a message.
IGNORED_LIBPQ_VARIABLES = libpq.settle(os.environ, embedded=not DATABASE_URL)
OWNER_DATABASE_URL = text(
    "ORBIT_OWNER_DATABASE_URL",
    "",
    "The role that owns the tables; only `migrate`, `backup` and `restore` use it. "
    "Empty: the same as `DATABASE_URL`.",
)
ORBIT_DATABASE_SCHEMA = text(
    "ORBIT_DATABASE_SCHEMA",
    "public",
    "The schema of Orbit's tables; name one to share a database.",
)
TELEMETRY_DATABASE_URL = text(
    "ORBIT_TELEMETRY_DATABASE_URL",
    "",
    "A database of telemetry's own, on the same server or another; its role owns its tables. "
    "Empty: telemetry is in the main one.",
)
ORBIT_PORT = integer("PORT", "3000", "The port of the console and the API.", low=1, high=65535)
ORBIT_BIND = text(
    "ORBIT_BIND",
    "0.0.0.0" if PRODUCTION else "127.0.0.1",  # noqa: S104 - behind a proxy or a firewall
    "The address that the web server listens on: all (`0.0.0.0`) in production, else this machine "
    "only.",
)
ORBIT_TRUSTED_PROXIES = items(
    "ORBIT_TRUSTED_PROXIES",
    "127.0.0.1,::1",
    "Addresses or networks of your proxies, comma separated. Their `X-Forwarded-Proto` is used; if "
    "you set this variable, also their `X-Forwarded-For`, to identify clients for the lock-out.",
)
# The default is not used for X-Forwarded-For: any program on this machine could forge it.
ORBIT_FORWARDING_PROXIES = ORBIT_TRUSTED_PROXIES if os.environ.get("ORBIT_TRUSTED_PROXIES") else []
SECRET_KEY = text(
    "ORBIT_SECRET_KEY",
    "",
    "Signs sessions and queue entries; the same on every machine. In development one is created "
    "and kept in `var/`.",
)
ORBIT_ENCRYPTION_KEYS = items(
    "ORBIT_ENCRYPTION_KEYS",
    "",
    "Fernet keys that encrypt endpoint secrets in the database, comma separated: the first "
    "encrypts, all decrypt. In development derived from the secret key.",
)
ALLOWED_HOSTS = items(
    "ORBIT_ALLOWED_HOSTS",
    "",
    "Host names that the web server answers to, comma separated; `.example.com` is also all below "
    "it. Probes are answered under any. In development: this machine's.",
)
ORBIT_TRUSTED_ORIGINS = origins.read(
    items(
        "ORBIT_TRUSTED_ORIGINS",
        "",
        "Further origins that forms may come from, comma separated: the address in the browser, "
        "such as `https://orbit.example.com:8443`, if a proxy doesn't pass it on as `Host`. "
        "`https://*.example.com` is a domain with all below it.",
    ),
    "ORBIT_TRUSTED_ORIGINS",
)
ORBIT_CONFIG_DIR = BASE_DIR / Path(
    text(
        "ORBIT_CONFIG_DIR",
        "config",
        "The folder of `profiles.json`, `runProfiles.json`, `schemas/` and, if you use it, "
        "`autonomy.json`; relative to the project's folder.",
    )
)
ORBIT_GLOBAL_PAUSE = boolean(
    "ORBIT_GLOBAL_PAUSE",
    "false",
    "`true` pauses each process that has it: no trigger is accepted, no cycle goes on.",
)
ORBIT_CRON_SCHEDULE = text(
    "ORBIT_CRON_SCHEDULE",
    "0 0,12 * * *",
    "When cycles start: five cron fields. Empty: never.",
    may_be_empty=True,
)
ORBIT_RUN_PROFILE_CRON_SCHEDULE = text(
    "ORBIT_RUN_PROFILE_CRON_SCHEDULE",
    "",
    "When all enabled run profiles without a cron of their own run: five cron fields. "
    "Empty: `ORBIT_CRON_SCHEDULE` starts them.",
)
ORBIT_TIME_ZONE = text(
    "ORBIT_TIME_ZONE", "UTC", "The time zone of the schedules and the console, an IANA name."
)
ORBIT_DISPATCH_ENDPOINTS = text(
    "ORBIT_DISPATCH_ENDPOINTS",
    "[]",
    "Where deliveries go: a JSON array of `{key, url, method, token}` and options (see Endpoints).",
)
ORBIT_DISPATCH_ALLOWED_HOSTS = items(
    "ORBIT_DISPATCH_ALLOWED_HOSTS",
    "",
    "Hosts, addresses or networks that requests may go to, besides public ones over https; "
    "plain http is allowed to these. Comma separated.",
)
ORBIT_MAX_DISPATCH_RETRIES = integer(
    "ORBIT_MAX_DISPATCH_RETRIES",
    "3",
    "Retries after the first attempt of a delivery; after the last it is a dead letter.",
    low=0,
    high=100,
)
ORBIT_DISPATCH_BACKOFF_BASE = number(
    "ORBIT_DISPATCH_BACKOFF_BASE",
    "2",
    "Seconds before the first retry of a delivery; each further wait is three times as long.",
    low=0.01,
    high=3600,
)
ORBIT_DISPATCH_BACKOFF_CAP = number(
    "ORBIT_DISPATCH_BACKOFF_CAP",
    "300",
    "The longest wait before a retry in seconds, before jitter of 20 %; cuts `Retry-After` too.",
    low=0.01,
    high=86400,
)
ORBIT_DISPATCH_DEADLINE_SECONDS = number(
    "ORBIT_DISPATCH_DEADLINE_SECONDS",
    "900",
    "How long a cycle waits for its deliveries. Then it ends; open deliveries go on without it.",
    low=0.1,
    high=86400,
)
ORBIT_WORKERS = integer("ORBIT_WORKERS", "2", "Worker processes of a cluster.", low=1, high=64)
ORBIT_WEB_WORKERS = integer(
    "ORBIT_WEB_WORKERS",
    "2",
    "Processes of a web server; they share the port.",
    low=1,
    high=64,
)
ORBIT_KEEP_ALIVE_SECONDS = integer(
    "ORBIT_KEEP_ALIVE_SECONDS",
    "75",
    "How long the web server keeps an idle connection. Make it longer than your proxy does: "
    "nginx and AWS keep one for 60 s, Google Cloud for 600 s.",
    low=1,
    high=3600,
)
ORBIT_CONCURRENCY = integer(
    "ORBIT_CONCURRENCY", "8", "Cycles that one worker runs at the same time.", low=1, high=64
)
ORBIT_LEASE_SECONDS = integer(
    "ORBIT_LEASE_SECONDS",
    "15",
    "A worker that is silent for this long loses its cycles; another resumes them.",
    low=2,
    high=3600,
)
ORBIT_DRAIN_SECONDS = integer(
    "ORBIT_DRAIN_SECONDS",
    "30",
    "How long running cycles may go on after SIGTERM before they are given back.",
    low=0,
    high=3600,
)
ORBIT_TELEMETRY_RETENTION_DAYS = integer(
    "ORBIT_TELEMETRY_RETENTION_DAYS",
    "30",
    "Telemetry events of older days (UTC) are dropped every night, and what was read from them.",
    low=1,
    high=3650,
)
ORBIT_RETENTION_DAYS = integer(
    "ORBIT_RETENTION_DAYS",
    "90",
    "Cycles and conductor runs that finished longer ago are deleted daily, with what is theirs.",
    low=1,
    high=3650,
)
ORBIT_PROJECTION_DRIFT_THRESHOLD = integer(
    "ORBIT_PROJECTION_DRIFT_THRESHOLD",
    "100",
    "`telemetry reconcile` rebuilds the task projection from the stored events if more tasks than "
    "this differ.",
    low=0,
    high=1_000_000_000,
)
ORBIT_TELEMETRY_COLD_ARCHIVE_ENABLED = boolean(
    "ORBIT_TELEMETRY_COLD_ARCHIVE_ENABLED",
    "false",
    "`true` archives days of telemetry events, compressed in the database, before they are "
    "dropped.",
)
ORBIT_PHASE4_ENABLED = boolean(
    "ORBIT_PHASE4_ENABLED",
    "false",
    "`true`, together with the next one: the policies of `autonomy.json` may disable profiles and "
    "run profiles. With either `false`, every function of autonomy logs that it was skipped.",
)
ORBIT_PHASE4_ALLOW_MUTATION = boolean(
    "ORBIT_PHASE4_ALLOW_MUTATION",
    "false",
    "`true`: autonomy may change the configuration. It needs `ORBIT_PHASE4_ENABLED` too.",
)
ORBIT_METRICS_TOKEN = text(
    "ORBIT_METRICS_TOKEN",
    "",
    "A bearer token that may read `/metrics` and nothing else. "
    "Empty: only API tokens with the scope `read` may.",
)
ORBIT_RATE_LIMIT = integer(
    "ORBIT_RATE_LIMIT",
    "6000",
    "API requests a minute of one token, of one user with a session, or, without either, of one "
    "address.",
    low=1,
    high=1_000_000,
)
ORBIT_PASSWORD = password(
    "ORBIT_PASSWORD",
    "The password that `user create` sets; no other command reads it. Empty: it asks.",
)
ORBIT_LOG_FORMAT = choice(
    "ORBIT_LOG_FORMAT",
    "json" if PRODUCTION else "text",
    "`text` or `json`; `json` is the default in production.",
    ("text", "json"),
)
OTEL_EXPORTER_OTLP_ENDPOINT = url(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OpenTelemetry's own: a collector such as `http://localhost:4318` that gets a trace of each "
    "cycle. Needs the extra `orbit[otel]`, whose SDK reads the other `OTEL_*`. Empty: no traces.",
)
ORBIT_TRACING = bool(OTEL_EXPORTER_OTLP_ENDPOINT)
LOG_DIR = text(
    "ORBIT_LOG_DIR",
    "",
    "A folder for a log file, in addition to standard error. Empty: no file.",
)


def _check() -> None:
    if not cron_fields.is_time_zone(ORBIT_TIME_ZONE):
        raise ImproperlyConfigured(
            f"ORBIT_TIME_ZONE={ORBIT_TIME_ZONE!r} is not a time zone. "
            "Write an IANA name such as Europe/Berlin."
        )
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", ORBIT_DATABASE_SCHEMA):
        raise ImproperlyConfigured(
            "ORBIT_DATABASE_SCHEMA must be a plain lower-case name, such as orbit."
        )
    if OWNER_DATABASE_URL and not DATABASE_URL:
        raise ImproperlyConfigured(
            "ORBIT_OWNER_DATABASE_URL is set and DATABASE_URL is not. Set both, or neither for "
            "the embedded database."
        )
    if ORBIT_DATABASE_SCHEMA.startswith("pg_"):
        raise ImproperlyConfigured(
            "ORBIT_DATABASE_SCHEMA begins with pg_, which PostgreSQL keeps for itself. "
            "Name another, such as orbit."
        )
    hosts.check("ORBIT_ALLOWED_HOSTS", ALLOWED_HOSTS)
    hosts.check_address("ORBIT_BIND", ORBIT_BIND)
    hosts.check_networks("ORBIT_TRUSTED_PROXIES", ORBIT_TRUSTED_PROXIES)
    _check_cron(ORBIT_CRON_SCHEDULE, "ORBIT_CRON_SCHEDULE")
    _check_cron(ORBIT_RUN_PROFILE_CRON_SCHEDULE, "ORBIT_RUN_PROFILE_CRON_SCHEDULE")
    _check_encryption_keys()
    if PRODUCTION:
        _check_production()


def _check_cron(cron: str, name: str) -> None:
    if cron and (detail := cron_fields.problem(cron)):
        raise ImproperlyConfigured(
            f"{name}={cron!r} can't be used. {detail} An example is 0 6 * * *."
        )


def _check_encryption_keys() -> None:
    for key in ORBIT_ENCRYPTION_KEYS:
        try:
            Fernet(key)
        except ValueError:
            raise ImproperlyConfigured(
                "ORBIT_ENCRYPTION_KEYS holds a value that is not a Fernet key "
                "(32 bytes, url-safe base64). Write keys without quotes, commas between them."
            ) from None


def _check_production() -> None:
    needed = {
        "ORBIT_SECRET_KEY": SECRET_KEY,
        "ORBIT_ENCRYPTION_KEYS": ORBIT_ENCRYPTION_KEYS,
        "ORBIT_ALLOWED_HOSTS": ALLOWED_HOSTS,
        "DATABASE_URL": DATABASE_URL,
    }
    if missing := [name for name, value in needed.items() if not value]:
        raise ImproperlyConfigured(
            f"ORBIT_ENV=production needs {', '.join(missing)}. "
            "Set it in the environment or in .env."
        )
    if len(SECRET_KEY) < 50:
        raise ImproperlyConfigured(
            "ORBIT_SECRET_KEY is too short for production: 50 characters at least."
        )


_check()
