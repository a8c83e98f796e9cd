"""Every regular expression of the project takes linear time on hostile text."""

import ast
import json
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

from django.urls import get_resolver

from orbit.pipeline import registry
from tests.support import routes
from tests.support.project import PROJECT

PACKAGES = ("governance", "telemetry", "orbit", "advisory", "orbit_site")
FUNCTIONS = {"compile", "match", "search", "fullmatch", "findall", "finditer", "sub", "split"}
# A text that only has to be short would hide a pattern that is quadratic. The slowest texts of one
# length go on to the next: each doubling of a quadratic one shows, and it fails before it takes
# minutes.
LENGTHS = {1_000: 24, 20_000: 6, 100_000: 0}
MOST_SECONDS = 0.5
PIECES = {*'a0 /;,"\\-.[{:\né', '"",', "a/"}


def in_code() -> Iterator[tuple[str, str]]:
    """Yield each pattern that is written in the code, with its place."""
    for package in PACKAGES:
        for path in sorted((PROJECT / package).rglob("*.py")):
            text = path.read_text()
            tree = ast.parse(text if "re." in text else "")
            for node in ast.walk(tree):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                    continue
                if ast.unparse(node.func.value) != "re" or node.func.attr not in FUNCTIONS:
                    continue
                if isinstance(node.args[0], ast.Constant):
                    yield f"{path.relative_to(PROJECT)}:{node.lineno}", str(node.args[0].value)


def compiled() -> Iterator[tuple[str, str]]:
    """Yield each pattern that a module holds compiled, also a composed one."""
    for name, module in sorted(sys.modules.items()):
        if name.partition(".")[0] in PACKAGES:
            for attribute, value in vars(module).items():
                if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
                    yield f"{name}.{attribute}", value.pattern


def within(schema: Any, place: str) -> Iterator[tuple[str, str]]:
    """Yield the patterns of a JSON Schema."""
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield place, schema["pattern"]
        for name in schema.get("patternProperties", {}):
            yield place, name
        for name, part in schema.items():
            yield from within(part, f"{place}/{name}")
    elif isinstance(schema, list | tuple):
        for number, part in enumerate(schema):
            yield from within(part, f"{place}/{number}")


def in_schemas() -> Iterator[tuple[str, str]]:
    for path in sorted((PROJECT / "config" / "schemas").glob("*.json")):
        yield from within(json.loads(path.read_text()), path.name)
    get_resolver().url_patterns  # noqa: B018 - imports the views
    for route, view in routes.api().items():
        for method, declared in getattr(view, "operations", {}).items():
            place = f"{method} {route}"
            yield from within(declared.body, f"{place} body")
            yield from within(dict(declared.headers), f"{place} headers")
            for name, reader in declared.query.items():
                yield from within(reader.schema, f"{place} {name}")
    for name in registry.names():
        yield from within(registry.transformer(name).options_schema, f"transformer {name}")


def patterns() -> dict[str, str]:
    """Return each pattern with the first place of its use."""
    found: dict[str, str] = {}
    for place, pattern in [*in_schemas(), *in_code(), *compiled()]:
        found.setdefault(pattern, place)
    return found


def hostile(pattern: str) -> list[tuple[str, str, str]]:
    """Return beginnings as the pattern likes them, what to repeat, and ends as it doesn't."""
    pieces = PIECES | {character for character in pattern if character.isprintable()}
    return [
        (start, piece, end)
        for piece in sorted(pieces)
        for start in ("", '"', "a", "a/", "%(")
        for end in ("", "\x00", "\n", " \t")
    ]


def seconds(expression: re.Pattern[str], text: str) -> float:
    began = time.thread_time()
    expression.search(text)
    expression.fullmatch(text)
    return time.thread_time() - began


def too_slow(pattern: str) -> str:
    """Return the beginning of a text that takes too long, if there is one."""
    expression, parts = re.compile(pattern), hostile(pattern)
    for length, kept in LENGTHS.items():
        spent = []
        for start, piece, end in parts:
            text = (start + piece * (length // len(piece)))[:length] + end
            spent.append((seconds(expression, text), (start, piece, end)))
            if spent[-1][0] > MOST_SECONDS:
                return f"{length} characters: {text[:20]!r}"
        parts = [part for _, part in sorted(spent, reverse=True)[:kept]]
    return ""


def test_every_pattern_takes_linear_time() -> None:
    places = patterns()
    assert len(places) > 30
    assert any("content_type" in place for place in places.values())
    slow = {place: found for pattern, place in places.items() if (found := too_slow(pattern))}
    assert slow == {}


def test_a_quadratic_pattern_is_found() -> None:
    assert too_slow(r"\s+$")
    assert not too_slow("^[a-z]+$")
