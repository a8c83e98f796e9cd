"""Reads ``.env`` strictly: a line that could be misread is a start error.

Messages name the file and the line, never what is on it: it may be a secret.
"""

import os
import re
import stat
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = (b"\xff\xfe", b"\xfe\xff")
_LARGEST = 256 * 1024
_NEXT_ASSIGNMENT = re.compile(r"\s(ORBIT_\w+|DATABASE_URL|PORT)=")


def read(path: Path) -> dict[str, str]:
    """Return the variables in ``path``; none if there is no such file.

    Raises ImproperlyConfigured.
    """
    variables: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(_text(path).split("\n"), 1):
        try:
            assignment = _parse(line.removesuffix("\r"))
        except ValueError as error:
            raise ImproperlyConfigured(f"{path}, line {number}: {error}") from None
        if assignment is None:
            continue
        name, value = assignment
        if name in variables:
            raise ImproperlyConfigured(
                f"{path}, line {number}: {name} is also in line {variables[name][1]}. "
                "Remove one of the two."
            )
        variables[name] = value, number
    return {name: value for name, (value, _) in variables.items()}


def _text(path: Path) -> str:
    try:
        status = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise ImproperlyConfigured(
                f"{path} is a link to a file that is missing. Create the file or remove the link."
            ) from None
        return ""
    except OSError as error:
        raise _unreadable(path, error) from None
    if stat.S_ISDIR(status.st_mode):
        raise ImproperlyConfigured(
            f"{path} is a folder. It must be a file of lines NAME=value: remove the folder. "
            "(Docker makes one when it mounts a file that is missing.)"
        )
    # A pipe or a terminal would be waited for, /dev/zero never ends.
    if not stat.S_ISREG(status.st_mode) and not path.samefile(os.devnull):
        raise ImproperlyConfigured(f"{path} is no plain file. Write a file of lines NAME=value.")
    if status.st_size > _LARGEST:
        raise ImproperlyConfigured(
            f"{path} has {status.st_size:,} bytes, more than settings need ({_LARGEST:,}). "
            "Is it another file?"
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None
    return _decoded(path, content)


def _unreadable(path: Path, error: OSError) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"Can't read {path}: {error.strerror}. "
        "Make it readable for the user that runs Orbit, or remove it."
    )


def _decoded(path: Path, content: bytes) -> str:
    if content.startswith(_BOM):
        raise ImproperlyConfigured(
            f"{path}, line 1: the file begins with a byte order mark, which would become part of "
            "the first name. Save it as UTF-8 without BOM."
        )
    if content.startswith(_OTHER_BOMS):
        raise ImproperlyConfigured(f"{path}, line 1: the file is UTF-16. Save it as UTF-8.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise ImproperlyConfigured(
            f"{path}, line {number}: a byte is not UTF-8. Save the file as UTF-8."
        ) from None


def _parse(line: str) -> tuple[str, str] | None:
    """Return name and value, None for a blank line or a comment. Raises ValueError."""
    if not line.strip() or line.lstrip().startswith("#"):
        return None
    if _CONTROL.search(line):
        raise ValueError("it holds a control character. Type the line again.")
    if line[0].isspace():
        raise ValueError("it is indented. Begin it with the name: NAME=value.")
    name, equals, value = line.partition("=")
    if name[-1:].isspace() or (value[:1].isspace() and value.strip()):
        raise ValueError("there is a space beside the =. Write NAME=value.")
    if name.startswith(("export ", "export\t")):
        name = name.removeprefix("export").lstrip()
    if not (equals and name.isascii() and name.isidentifier()):
        raise ValueError("it is no assignment. Write NAME=value, or # before a comment.")
    if name == "Environment":
        raise ValueError("it is a line of a systemd unit. Write NAME=value without Environment=.")
    return name, _value(value)


def _value(value: str) -> str:
    bare = value.strip()
    if bare[:1] in {"'", '"'}:
        return _unquoted(bare)
    if bare[-1:] in {"'", '"'} and bare.count(bare[-1]) % 2:
        raise ValueError("a quote ends the value, and none begins it. Write both or neither.")
    if _NEXT_ASSIGNMENT.search(value):
        raise ValueError("it holds two assignments. Write each on a line of its own.")
    if re.search(r"\s#", value):
        raise ValueError(
            "a # follows a space. Write a comment on a line of its own, "
            "or the value in quotes if the # belongs to it."
        )
    return value


def _unquoted(value: str) -> str:
    quote, inner = value[0], value[1:-1]
    escapes = len(inner) - len(inner.rstrip("\\")) if quote == '"' else 0
    is_open = len(value) < 2 or value[-1] != quote or escapes % 2
    # As in: NAME="value" # the "old" one
    if is_open or re.search(rf"{quote}\s+#", inner):
        raise ValueError(
            "the quote that begins the value doesn't end it. Write both quotes or neither; "
            "a comment has a line of its own."
        )
    if quote == '"':
        # \r, \n and \t stay as they are: JSON has them.
        inner = re.sub(r"\\(.)", lambda m: m[0] if m[1] in "rnt" else m[1], inner)
    return inner
