"""The one table of environment variables: what each does, its type, its default; read once, here."""

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

import environ
from cronsim import CronSim, CronSimError
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent.parent
VAR_DIR = BASE_DIR / "var"

_env = environ.Env()
if (BASE_DIR / ".env").is_file():
    # The real environment wins over the file.
    _env.read_env(str(BASE_DIR / ".env"), overwrite=False)

_TRUE, _FALSE = {"true", "1", "yes", "on"}, {"false", "0", "no", "off"}


@dataclass(frozen=True)
class Variable:
    """One documented variable: its name, what it does, its default as written in ``.env.example``."""

    name: str
    doc: str
    default: str


TABLE: list[Variable] = []


def _raw(name: str, default: str, doc: str) -> str:
    TABLE.append(Variable(name, doc, default))
    return os.environ.get(name, default)


def _text(name: str, default: str, doc: str) -> str:
    return _raw(name, default, doc).strip()


def _boolean(name: str, default: str, doc: str) -> bool:
    value = _raw(name, default, doc).strip().lower() or default
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name}={value!r} is not a boolean. Write true or false.")


def _number(name: str, default: str, doc: str, *, low: float, high: float) -> float:
    value = _raw(name, default, doc).strip() or default
    try:
        number = float(value)
    except ValueError:
        raise ImproperlyConfigured(
            f"{name}={value!r} is not a number. Write one between {low:g} and {high:g}."
        ) from None
    if not low <= number <= high:
        raise ImproperlyConfigured(
            f"{name}={value} is out of range. Write a number between {low:g} and {high:g}."
        )
    return number


def _integer(name: str, default: str, doc: str, *, low: int, high: int) -> int:
    number = _number(name, default, doc, low=low, high=high)
    if number != int(number):
        raise ImproperlyConfigured(f"{name}={number:g} is not a whole number.")
    return int(number)


def _choice(name: str, default: str, doc: str, choices: tuple[str, ...]) -> str:
    value = _raw(name, default, doc).strip() or default
    if value not in choices:
        raise ImproperlyConfigured(
            f"{name}={value!r} is unknown. Write one of: {', '.join(choices)}."
        )
    return value


def _items(name: str, default: str, doc: str) -> list[str]:
    return [item.strip() for item in _raw(name, default, doc).split(",") if item.strip()]


def database_url(value: str, name: str) -> dict[str, Any]:
    """Parse a PostgreSQL URL into Django's database settings; ``?host=/dir`` names a socket directory.

    Raises ImproperlyConfigured, naming the variable, for anything that is not PostgreSQL. The value is not echoed: it may hold a password.
    """
    try:
        parts = urlsplit(value)
        if parts.scheme not in {"postgres", "postgresql"}:
            raise ImproperlyConfigured(
                f"{name} must start with postgresql:// (PostgreSQL is the one database that Orbit runs on)."
            )
        config = dict(_env.db_url_config(value))
    except ValueError:
        raise ImproperlyConfigured(
            f"{name} can't be read. Write postgresql://user:password@host:5432/database."
        ) from None
    if not config.get("NAME"):
        raise ImproperlyConfigured(
            f"{name} names no database. Write postgresql://user:password@host:5432/database."
        )
    options = dict(config.get("OPTIONS") or {})
    config["HOST"] = options.pop("host", None) or config.get("HOST") or ""
    config["OPTIONS"] = options
    config["ENGINE"] = "django.db.backends.postgresql"
    return config


ORBIT_ENV = _choice(
    "ORBIT_ENV",
    "development",
    "Where this runs. `production` refuses to start without keys, host list and database.",
    ("development", "production", "test"),
)
PRODUCTION = ORBIT_ENV == "production"

DATABASE_URL = _text(
    "DATABASE_URL",
    "",
    "`postgresql://user:password@host:5432/database` (15 or newer); `?host=/dir` names a socket directory. "
    "Empty: an embedded PostgreSQL under `var/postgres/`.",
)
OWNER_DATABASE_URL = _text(
    "ORBIT_OWNER_DATABASE_URL",
    "",
    "The role that owns the tables, used by `migrate` alone. Empty: the same as `DATABASE_URL`.",
)
DATABASE_SCHEMA = _text(
    "ORBIT_DATABASE_SCHEMA",
    "public",
    "The schema that holds Orbit's tables, so that it can share a database.",
)
PORT = _integer("PORT", "3000", "The port of the console and the API.", low=1, high=65535)
BIND = _text(
    "ORBIT_BIND",
    "0.0.0.0" if PRODUCTION else "127.0.0.1",  # noqa: S104 - production has a proxy or a firewall in front
    "The address that the web server listens on; everywhere (`0.0.0.0`) in production, else this machine alone.",
)
TRUSTED_PROXIES = _items(
    "ORBIT_TRUSTED_PROXIES",
    "127.0.0.1,::1",
    "Addresses or networks of your proxies: their `X-Forwarded-Proto` is believed, "
    "nobody else's; and where this is set, their `X-Forwarded-For`, by which the lock-out knows clients. Comma separated.",
)
# By its default it is believed of nobody: anybody on this machine could say that he is somebody else.
FORWARDING_PROXIES = TRUSTED_PROXIES if os.environ.get("ORBIT_TRUSTED_PROXIES") else []
SECRET_KEY = _text(
    "ORBIT_SECRET_KEY",
    "",
    "Signs sessions and queue entries; the same on every machine. In development one is made and kept under `var/`.",
)
ENCRYPTION_KEYS = _items(
    "ORBIT_ENCRYPTION_KEYS",
    "",
    "Fernet keys that seal endpoint secrets at rest, comma separated: the first seals, all open. "
    "In development derived from the secret key.",
)
ALLOWED_HOSTS = _items(
    "ORBIT_ALLOWED_HOSTS",
    "",
    "Host names that the web server answers to, comma separated. In development: this machine's.",
)
CONFIG_DIR = Path(
    _text(
        "ORBIT_CONFIG_DIR",
        "config",
        "The folder of `profiles.json`, `runProfiles.json` and `schemas/`; relative to the project.",
    )
)
GLOBAL_PAUSE = _boolean(
    "ORBIT_GLOBAL_PAUSE",
    "false",
    "`true` pauses every process that has it: no trigger is accepted, no cycle goes on.",
)
CRON_SCHEDULE = _text(
    "ORBIT_CRON_SCHEDULE",
    "0 0,12 * * *",
    "When cycles start by themselves: five cron fields. Empty: off.",
)
RUN_PROFILE_CRON_SCHEDULE = _text(
    "ORBIT_RUN_PROFILE_CRON_SCHEDULE",
    "",
    "When every enabled run profile without a cron of its own runs: five cron "
    "fields. Empty: `ORBIT_CRON_SCHEDULE` starts them.",
)
TIME_ZONE = _text(
    "ORBIT_TIME_ZONE", "UTC", "The zone of the schedules and of the console, an IANA name."
)
DISPATCH_ENDPOINTS = _text(
    "ORBIT_DISPATCH_ENDPOINTS",
    "[]",
    "Where deliveries go: a JSON array of `{key, url, method, token}` and options (docs/configuration.md).",
)
DISPATCH_ALLOWED_HOSTS = _items(
    "ORBIT_DISPATCH_ALLOWED_HOSTS",
    "",
    "Hosts, addresses or networks that requests may go to beside public ones over https; "
    "for these http is allowed too. Comma separated.",
)
MAX_DISPATCH_RETRIES = _integer(
    "ORBIT_MAX_DISPATCH_RETRIES",
    "3",
    "Retries after the first attempt of a delivery; then it is a dead letter.",
    low=0,
    high=100,
)
DISPATCH_BACKOFF_BASE = _number(
    "ORBIT_DISPATCH_BACKOFF_BASE",
    "2",
    "Seconds before the first retry of a delivery; each further wait is three times as long.",
    low=0.01,
    high=3600,
)
DISPATCH_BACKOFF_CAP = _number(
    "ORBIT_DISPATCH_BACKOFF_CAP",
    "300",
    "The longest wait before a retry, in seconds; `Retry-After` is honoured up to it.",
    low=0.01,
    high=86400,
)
DISPATCH_DEADLINE_SECONDS = _number(
    "ORBIT_DISPATCH_DEADLINE_SECONDS",
    "900",
    "How long a cycle waits for its deliveries; what is open then goes on by itself, "
    "and the cycle ends with what it has.",
    low=0.1,
    high=86400,
)
WORKERS = _integer("ORBIT_WORKERS", "2", "Worker processes of a cluster.", low=1, high=64)
CONCURRENCY = _integer(
    "ORBIT_CONCURRENCY", "8", "Cycles that one worker carries side by side.", low=1, high=64
)
LEASE_SECONDS = _integer(
    "ORBIT_LEASE_SECONDS",
    "15",
    "A worker silent for this long loses its cycles; another one resumes them.",
    low=2,
    high=3600,
)
DRAIN_SECONDS = _integer(
    "ORBIT_DRAIN_SECONDS",
    "30",
    "How long running cycles may go on after SIGTERM before they are given back.",
    low=0,
    high=3600,
)
METRICS_TOKEN = _text(
    "ORBIT_METRICS_TOKEN",
    "",
    "A bearer token that may read `/metrics` and nothing else. Empty: API tokens with the scope `read` only.",
)
RATE_LIMIT = _integer(
    "ORBIT_RATE_LIMIT",
    "6000",
    "Requests a minute that the API takes of one token, of one person who is logged in, and, where nobody is, "
    "of one address.",
    low=1,
    high=1_000_000,
)
PASSWORD = _raw(
    "ORBIT_PASSWORD",
    "",
    "The password that `user create` gives; only that command reads it. Empty: it asks.",
)
LOG_FORMAT = _choice(
    "ORBIT_LOG_FORMAT",
    "json" if PRODUCTION else "text",
    "`text` or `json`; `json` is the default in production.",
    ("text", "json"),
)
LOG_DIR = _text(
    "ORBIT_LOG_DIR",
    "",
    "A folder for log files beside standard error. Empty: standard error alone.",
)


def _check_addresses() -> None:
    try:
        ip_address(BIND)
    except ValueError:
        raise ImproperlyConfigured(
            f"ORBIT_BIND={BIND!r} is no address. Write 127.0.0.1, 0.0.0.0, or one of this machine's."
        ) from None
    for item in TRUSTED_PROXIES:
        try:
            ip_network(item)
        except ValueError:
            if item != "*":
                raise ImproperlyConfigured(
                    f"ORBIT_TRUSTED_PROXIES holds {item!r}, no address and no network. Write 10.0.0.7 or 10.0.0.0/24."
                ) from None


def _check_cron(cron: str, name: str) -> None:
    if not cron:
        return
    try:
        # A sixth field would be seconds, which no tick is fine enough for.
        next(CronSim(cron if len(cron.split()) == 5 else "", datetime.now(UTC)))
    except (CronSimError, AssertionError, StopIteration):
        raise ImproperlyConfigured(
            f"{name}={cron!r} is no schedule that ever fires. Write five cron fields, such as 0 6 * * *."
        ) from None


def _check() -> None:
    """Refuse combinations that can't work, each with the variable's name. Raises ImproperlyConfigured."""
    if TIME_ZONE not in available_timezones():
        raise ImproperlyConfigured(
            f"ORBIT_TIME_ZONE={TIME_ZONE!r} is no time zone. Write an IANA name such as Europe/Berlin."
        )
    ZoneInfo(TIME_ZONE)
    _check_addresses()
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", DATABASE_SCHEMA):
        raise ImproperlyConfigured(
            "ORBIT_DATABASE_SCHEMA must be a plain lower-case name, such as orbit."
        )
    _check_cron(CRON_SCHEDULE, "ORBIT_CRON_SCHEDULE")
    _check_cron(RUN_PROFILE_CRON_SCHEDULE, "ORBIT_RUN_PROFILE_CRON_SCHEDULE")
    for key in ENCRYPTION_KEYS:
        try:
            Fernet(key)
        except ValueError:
            raise ImproperlyConfigured(
                "ORBIT_ENCRYPTION_KEYS holds something that is no Fernet key (32 bytes, url-safe base64)."
            ) from None
    if PRODUCTION:
        missing = [
            name
            for name, value in (
                ("ORBIT_SECRET_KEY", SECRET_KEY),
                ("ORBIT_ENCRYPTION_KEYS", ENCRYPTION_KEYS),
                ("ORBIT_ALLOWED_HOSTS", ALLOWED_HOSTS),
                ("DATABASE_URL", DATABASE_URL),
            )
            if not value
        ]
        if missing:
            raise ImproperlyConfigured(
                f"ORBIT_ENV=production needs {', '.join(missing)}. Set it in the environment or in .env."
            )
        if len(SECRET_KEY) < 50:
            raise ImproperlyConfigured(
                "ORBIT_SECRET_KEY is too short for production: 50 characters at least."
            )


_check()
