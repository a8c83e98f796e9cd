"""SQL statements kept in ``.sql`` files beside the module that runs them.

``{{name}}`` is a fragment, a file or a constant, that the loading module passes::

    -- Claim cycles that are due.
    -- params: owner text, limit int
    SELECT c.id FROM orbit_cyclerun c WHERE {{gate_is_open(c.namespace)}} LIMIT %(limit)s
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from psycopg.types.array import ListBinaryDumper

PROJECT = Path(__file__).resolve().parents[2]
_HEADER = re.compile(r"--\s*(params|args):\s*(.*)")
_COMMENT = re.compile(r"--[^\n]*")
_PARAMETER = re.compile(r"%\((\w+)\)s")
_FRAGMENT = re.compile(r"\{\{\s*(\w+)\s*(?:\(([^{}]*)\))?\s*\}\}")


class StatementInvalid(Exception):
    """A ``.sql`` file doesn't match its declaration. Raised at import."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of statements. ``params`` maps names to SQL types."""

    text: str
    args: tuple[str, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)

    def render(self, name: str, values: list[str]) -> str:
        """Return the text with ``values`` for its arguments."""
        if len(values) != len(self.args):
            raise StatementInvalid(f"{name} takes {len(self.args)} arguments, not {len(values)}")
        by_name = dict(zip(self.args, values, strict=True))
        return _FRAGMENT.sub(lambda match: by_name.get(match[1], match[0]), self.text)


@dataclass(frozen=True, slots=True)
class Statement:
    """An assembled statement. ``params`` maps names to SQL types."""

    name: str
    text: str
    params: Mapping[str, str]
    #: The alias of its database.
    using: str = DEFAULT_DB_ALIAS

    def rows(self, **values: Any) -> list[tuple[Any, ...]]:
        """Run the statement; return all rows."""
        parameters = self.bind(values)
        with connections[self.using].cursor() as cursor:
            cursor.execute(self.text, parameters)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def one(self, **values: Any) -> tuple[Any, ...] | None:
        """Run the statement; return its first row, or None."""
        parameters = self.bind(values)
        with connections[self.using].cursor() as cursor:
            cursor.execute(self.text, parameters)
            row: tuple[Any, ...] | None = cursor.fetchone()
            return row

    def send(self, **values: Any) -> list[tuple[Any, ...]]:
        """Run the statement with the values beside its text, for large ones; return all rows."""
        return send(self.text, self.bind(values) or {}, using=self.using)

    def execute(self, **values: Any) -> int:
        """Run the statement; return the number of affected rows."""
        parameters = self.bind(values)
        with connections[self.using].cursor() as cursor:
            cursor.execute(self.text, parameters)
            return int(cursor.rowcount)

    def bind(self, values: dict[str, Any]) -> dict[str, Any] | None:
        """Return the parameters. Raises TypeError if one is missing or unknown."""
        if values.keys() != self.params.keys():
            raise TypeError(f"{self.name} takes {sorted(self.params)}, not {sorted(values)}")
        # With None the driver doesn't parse placeholders, so a literal % needs no doubling.
        return values or None


@functools.cache
def _numbered(text: str) -> tuple[str, tuple[str, ...]]:
    """Return ``text`` with $1, $2, ... as parameters, and their names."""
    names = tuple(dict.fromkeys(_PARAMETER.findall(text)))
    return _PARAMETER.sub(lambda match: f"${names.index(match[1]) + 1}", text), names


def send(
    text: str, parameters: Mapping[str, Any], *, using: str = DEFAULT_DB_ALIAS
) -> list[tuple[Any, ...]]:
    """Run a prepared statement on this thread's connection; return the rows, if it has any."""
    # Django's cursor puts the values into the text. psycopg's raw cursor lets the server keep the
    # plan, per connection.
    database = connections[using]
    database.ensure_connection()
    numbered, names = _numbered(text)
    with database.wrap_database_errors, psycopg.RawCursor(database.connection) as cursor:
        # Written as text, an array of a few megabytes takes seconds of CPU.
        cursor.adapters.register_dumper(list, ListBinaryDumper)

        def execute(text: str, values: Sequence[Any], *_: Any) -> None:
            cursor.execute(text, values, prepare=True)

        # As Django's cursors do: a page's time limit is such a wrapper.
        for wrapper in reversed(database.execute_wrappers):
            execute = functools.partial(wrapper, execute)
        context = {"connection": database, "cursor": cursor}
        execute(numbered, [parameters[name] for name in names], False, context)
        if database.queries_logged:  # as Django's cursors do
            text = psycopg.ClientCursor(database.connection).mogrify(text, parameters)
            database.queries_log.append({"sql": text, "time": ""})
        # Not ``description``, which describes each column anew.
        result = cursor.pgresult
        return cursor.fetchall() if result is not None and result.nfields else []


def load(module: str, name: str, **fragments: "Fragment | str | int | float") -> Statement:
    """Return the statement ``sql/<name>.sql`` beside ``module``. Raises StatementInvalid."""
    part = _read(module, name)
    params = dict(part.params)
    text = _assemble(part.text, fragments, params, f"{module}: {name}.sql")
    used = set(_PARAMETER.findall(text))
    if used != params.keys():
        raise StatementInvalid(f"{module}: {name}.sql uses {used}, but declares {set(params)}")
    room = module.rpartition(".")[0]
    statement = Statement(f"{room}.{name}", text, params)
    REGISTRY[statement.name] = statement
    return statement


def fragment(module: str, name: str, **fragments: "Fragment | str | int | float") -> Fragment:
    """Return the fragment ``sql/<name>.sql`` beside ``module``. Raises StatementInvalid."""
    part = _read(module, name)
    params = dict(part.params)
    text = _assemble(part.text, fragments, params, f"{module}: {name}.sql", keep=part.args)
    return Fragment(text, part.args, params)


#: Loaded statements by name, for the golden test.
REGISTRY: dict[str, Statement] = {}


def _read(module: str, name: str) -> Fragment:
    room = Path(*module.split(".")[:-1])
    source = (PROJECT / room / "sql" / f"{name}.sql").read_text()
    declared: dict[str, dict[str, str]] = {}
    for kind, text in _HEADER.findall(source):  # a long list takes several lines
        declared.setdefault(kind, {}).update(_declared(text))
    args = tuple(declared.get("args", {}))
    text = "\n".join(line.rstrip() for line in _COMMENT.sub("", source).splitlines()).strip(" \n;")
    return Fragment(text, args, declared.get("params", {}))


def _declared(text: str) -> dict[str, str]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return {part.split()[0]: " ".join(part.split()[1:]) for part in parts}


def _split(arguments: str) -> list[str]:
    """Split at commas outside of parentheses."""
    values, depth = [""], 0
    for character in arguments:
        depth += (character == "(") - (character == ")")
        if character == "," and not depth:
            values.append("")
        else:
            values[-1] += character
    return [value.strip() for value in values] if arguments.strip() else []


def _assemble(
    text: str,
    fragments: Mapping[str, "Fragment | str | int | float"],
    params: dict[str, str],
    where: str,
    keep: tuple[str, ...] = (),
) -> str:
    unused = set(fragments)

    def put(match: re.Match[str]) -> str:
        name = match[1]
        if name in keep:
            return match[0]
        if name not in fragments:
            raise StatementInvalid(f"{where}: the fragment {name} was not passed")
        unused.discard(name)
        part = fragments[name]
        if not isinstance(part, Fragment):
            return str(part)
        for param, kind in part.params.items():
            if params.setdefault(param, kind) != kind:
                raise StatementInvalid(f"{where}: {param} is {params[param]} and {kind}")
        return part.render(name, _split(match[2] or ""))

    text = _FRAGMENT.sub(put, text)
    if unused:
        raise StatementInvalid(f"{where}: the fragments {sorted(unused)} are not used")
    return text
