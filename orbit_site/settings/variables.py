"""Read, check and document environment variables."""

import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from orbit_site.settings import dotenv

BASE_DIR = Path(__file__).resolve().parents[2]
VAR_DIR = BASE_DIR / "var"

#: The variables of ``.env``. The real environment wins over the file.
IN_FILE = dotenv.read(BASE_DIR / ".env")
for _name, _value in IN_FILE.items():
    os.environ.setdefault(_name, _value)

_TRUE, _FALSE = {"true", "1", "yes", "on"}, {"false", "0", "no", "off"}
_QUOTES = "\"'\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb"
_SHELL_VARIABLE = re.compile(r"\$[A-Za-z_]\w*(/|\Z)")
_SHELL_BRACES = re.compile(r"\$\{[A-Za-z_]\w{0,99}[}:?=+-]")


@dataclass(frozen=True)
class Variable:
    """The documentation of a variable."""

    name: str
    doc: str
    default: str


#: Every variable, in the order of the documentation.
TABLE: list[Variable] = []


def text(name: str, default: str, doc: str, *, may_be_empty: bool = False) -> str:
    """Read a text. An empty one is the default, unless it ``may_be_empty``."""
    value = _read(name, default, doc).strip()
    return value if may_be_empty else value or default


def url(name: str, doc: str) -> str:
    """Read an address of HTTP; empty if there is none. It may hold a password: it isn't shown."""
    value = text(name, "", doc)
    try:
        parts = urlsplit(value)
        fits = not value or (parts.scheme in {"http", "https"} and bool(parts.hostname))
        _ = parts.port
    except ValueError:
        fits = False
    if not fits:
        raise ImproperlyConfigured(
            f"{name} is not an address of HTTP. Write one such as http://localhost:4318."
        )
    return value


def password(name: str, doc: str) -> str:
    """Read a text with the spaces and quotes around it."""
    TABLE.append(Variable(name, doc, ""))
    return os.environ.get(name, "")


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
    value = _read(name, default, doc, quoted=True)
    return [item.strip() for item in value.split(",") if item.strip()]


def _read(name: str, default: str, doc: str, *, quoted: bool = False) -> str:
    TABLE.append(Variable(name, doc, default))
    value = os.environ.get(name, default)
    bare = value.strip()
    if not quoted and len(bare) > 1 and bare[0] in _QUOTES and bare[-1] in _QUOTES:
        # As `docker run --env-file` and lists in YAML leave them.
        raise ImproperlyConfigured(f"{name} has quotes around its value. Remove them.")
    if _is_for_a_shell(bare):
        # A key that is the text of a command would be known to everybody.
        raise ImproperlyConfigured(
            f"{name} holds what only a shell replaces: $(...), `...`, $NAME or ${{NAME}}. "
            "Write the value itself."
        )
    if bare and "Cf" in {unicodedata.category(bare[0]), unicodedata.category(bare[-1])}:
        raise ImproperlyConfigured(
            f"{name} begins or ends with a character that can't be seen. Type the value again."
        )
    return value


def _is_for_a_shell(value: str) -> bool:
    is_command = (value[:2], value[-1:]) == ("$(", ")") or (value[:1], value[1:][-1:]) == ("`", "`")
    return bool(is_command or _SHELL_VARIABLE.match(value) or _SHELL_BRACES.search(value))
