"""Read, check and document environment variables."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parents[2]
VAR_DIR = BASE_DIR / "var"

_env = environ.Env()
if (BASE_DIR / ".env").is_file():
    # The real environment wins over the file.
    _env.read_env(str(BASE_DIR / ".env"), overwrite=False)

_TRUE, _FALSE = {"true", "1", "yes", "on"}, {"false", "0", "no", "off"}
_URL_FORM = "postgresql://user:password@host:5432/database"

#: A connection whose server has vanished without a goodbye breaks within about ten seconds instead
#: of hours. On a Unix socket these do nothing.
VANISHED_SERVER = {
    "tcp_user_timeout": 10_000,  # milliseconds that sent data may wait for its receipt
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}


@dataclass(frozen=True)
class Variable:
    """The documentation of a variable."""

    name: str
    doc: str
    default: str


#: Every variable, in the order of the documentation.
TABLE: list[Variable] = []


def text(name: str, default: str, doc: str) -> str:
    """Read a text."""
    return _read(name, default, doc).strip()


def password(name: str, doc: str) -> str:
    """Read a text with the spaces around it."""
    return _read(name, "", doc)


def boolean(name: str, default: str, doc: str) -> bool:
    """Read ``true`` or ``false``. All readers raise ImproperlyConfigured."""
    value = _read(name, default, doc).strip().lower() or default
    if value not in _TRUE | _FALSE:
        raise ImproperlyConfigured(f"{name}={value!r} is not a boolean. Write true or false.")
    return value in _TRUE


def number(name: str, default: str, doc: str, *, low: float, high: float) -> float:
    """Read a number from ``low`` to ``high``."""
    value = _read(name, default, doc).strip() or default
    try:
        parsed = float(value)
    except ValueError:
        raise ImproperlyConfigured(
            f"{name}={value!r} is not a number. Write one between {low:g} and {high:g}."
        ) from None
    if not low <= parsed <= high:
        raise ImproperlyConfigured(
            f"{name}={value} is out of range. Write a number between {low:g} and {high:g}."
        )
    return parsed


def integer(name: str, default: str, doc: str, *, low: int, high: int) -> int:
    """Read a whole number from ``low`` to ``high``."""
    value = number(name, default, doc, low=low, high=high)
    if value != int(value):
        raise ImproperlyConfigured(f"{name}={value:g} is not a whole number.")
    return int(value)


def choice(name: str, default: str, doc: str, choices: tuple[str, ...]) -> str:
    """Read one of ``choices``."""
    value = _read(name, default, doc).strip() or default
    if value not in choices:
        raise ImproperlyConfigured(
            f"{name}={value!r} is unknown. Write one of: {', '.join(choices)}."
        )
    return value


def items(name: str, default: str, doc: str) -> list[str]:
    """Read a comma-separated list."""
    return [item.strip() for item in _read(name, default, doc).split(",") if item.strip()]


def database_url(value: str, name: str) -> dict[str, Any]:
    """Parse a PostgreSQL URL into Django's settings. Raises ImproperlyConfigured."""
    # Messages name the variable but not the value: it may hold a password.
    try:
        if urlsplit(value).scheme not in {"postgres", "postgresql"}:
            raise ImproperlyConfigured(
                f"{name} must start with postgresql://. Orbit runs on PostgreSQL only."
            )
        config = dict(_env.db_url_config(value))
    except ValueError:
        raise ImproperlyConfigured(f"{name} can't be read. Write {_URL_FORM}.") from None
    if not config.get("NAME"):
        raise ImproperlyConfigured(f"{name} names no database. Write {_URL_FORM}.")
    options = dict(config.get("OPTIONS") or {})
    config["HOST"] = options.pop("host", None) or config.get("HOST") or ""
    if "," in config["HOST"]:
        # Of several servers only the primary will do, also after a failover.
        options.setdefault("target_session_attrs", "read-write")
    config["OPTIONS"] = options
    config["ENGINE"] = "django.db.backends.postgresql"
    return config


def server_options(config: dict[str, Any], **settings: object) -> str:
    """Return libpq's ``options`` with the server's ``settings``; those in the URL win."""
    # Of two values for a setting the server takes the later one.
    ours = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return f"{ours} {config['OPTIONS'].get('options', '')}".rstrip()


def _read(name: str, default: str, doc: str) -> str:
    TABLE.append(Variable(name, doc, default))
    return os.environ.get(name, default)
