"""JSON Schema with plain errors. They never hold the value, which may be a secret."""

import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

# Control characters, direction marks and line separators: they make a name look like another, or
# break a line of the log.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


#: What an answer lists at most; a document is looked at no further than ``_MOST_FOUND``.
MOST_LISTED, _MOST_FOUND = 100, 1_000
# A text without a bound of its own is matched against a pattern up to here.
_MOST_MATCHED = 8_192
_CHECKS = Draft202012Validator.VALIDATORS
_CHEAP = {"type", "minLength", "maxLength", "description"}


def _too_many(instance: Any, schema: Mapping[str, Any]) -> bool:
    """Tell whether the text, array or object is over its bound, which has an error of its own."""
    most: float = math.inf
    if isinstance(instance, str):
        most = schema.get("maxLength", _MOST_MATCHED)
    elif isinstance(instance, list):
        most = schema.get("maxItems", most)
    elif isinstance(instance, dict):
        most = schema.get("maxProperties", most)
    else:
        return False
    return len(instance) > most


def _pattern(
    validator: Any, pattern: str, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if not isinstance(instance, str):
        return
    if _too_many(instance, schema):
        if "maxLength" not in schema:
            yield ValidationError("maxLength", validator="maxLength", validator_value=_MOST_MATCHED)
        return
    # Python's `$` matches before a trailing line break too, JSON Schema's doesn't.
    if not re.search(pattern, instance) or (pattern.endswith("$") and instance.endswith("\n")):
        yield ValidationError("pattern")


def _additional(
    validator: Any, allowed: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict) or _too_many(instance, schema):
        return
    # jsonschema makes one error for all names; these have a pointer each.
    if allowed is False:
        properties = schema.get("properties", {})
        patterns = schema.get("patternProperties", {})
        listed = sorted(properties)
        for name in instance:
            if name not in properties and not any(re.search(regex, name) for regex in patterns):
                yield ValidationError("additionalProperties", path=[name], validator_value=listed)
                listed = []  # once is enough
    elif isinstance(allowed, dict):
        yield from _CHECKS["additionalProperties"](validator, allowed, instance, schema)


def _names(
    validator: Any, rule: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if isinstance(instance, dict) and not _too_many(instance, schema):
        for name in instance:
            if next(validator.descend(name, rule), None) is not None:
                yield ValidationError("propertyNames", path=[name], validator_value=rule)


def _items(
    validator: Any, rule: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if not isinstance(instance, list) or _too_many(instance, schema):
        return
    if isinstance(rule, dict) and rule.get("type") == "string" and rule.keys() <= _CHEAP:
        # jsonschema takes 30 us an item, which is too much for ten thousand names.
        low, high = rule.get("minLength", 0), rule.get("maxLength", math.inf)
        if all(isinstance(item, str) and low <= len(item) <= high for item in instance):
            return
    yield from _CHECKS["items"](validator, rule, instance, schema)


def _unique(
    validator: Any, rule: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    # jsonschema compares each item with each other one.
    if not rule or not isinstance(instance, list) or _too_many(instance, schema):
        return
    if len({_frozen(item) for item in instance}) < len(instance):
        yield ValidationError("uniqueItems")


def _frozen(value: Any) -> Any:
    """Return a hashable value that is equal if the JSON values are."""
    match value:
        case bool() | None:
            return ("literal", value)  # 1 equals True in Python
        case list():
            return ("array", *map(_frozen, value))
        case dict():
            return frozenset((name, _frozen(item)) for name, item in value.items())
        case _:
            return value


def _bounded(keyword: str) -> Any:
    """Return jsonschema's check of members, which an object over its bound doesn't get."""

    def check(
        validator: Any, rule: Any, instance: Any, schema: Mapping[str, Any]
    ) -> Iterator[ValidationError]:
        if not _too_many(instance, schema):
            yield from _CHECKS[keyword](validator, rule, instance, schema)

    return check


_Validator: Any = extend(
    Draft202012Validator,
    {
        "pattern": _pattern,
        "additionalProperties": _additional,
        "propertyNames": _names,
        "items": _items,
        "uniqueItems": _unique,
        "properties": _bounded("properties"),
        "patternProperties": _bounded("patternProperties"),
    },
)  # type: ignore[no-untyped-call]


def load(path: Path) -> dict[str, Any]:
    """Read and check a schema that ships with Orbit."""
    schema: dict[str, Any] = json.loads(path.read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return schema


def problems(schema: Mapping[str, Any], document: Any) -> list[dict[str, str]]:
    """Return the errors as ``{pointer, detail}``, sorted by pointer; at most ``_MOST_FOUND``."""
    # Each error costs, and a megabyte has room for a hundred thousand.
    first = itertools.islice(_Validator(schema).iter_errors(document), _MOST_FOUND)
    errors = [
        {"pointer": pointer(error.absolute_path), "detail": _message(error)} for error in first
    ]
    return sorted(errors, key=lambda problem: problem["pointer"])


def pointer(path: Any) -> str:
    """Return ``path`` as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def unseen(text: str) -> bool:
    """Return whether ``text`` has control or invisible characters."""
    return _UNSEEN.search(text) is not None


# jsonschema's own messages quote the value.
_MESSAGES = {
    "const": "Must be {}.",
    "minimum": "Must be at least {}.",
    "exclusiveMinimum": "Must be more than {}.",
    "maximum": "Must be at most {}.",
    "exclusiveMaximum": "Must be less than {}.",
    "minLength": "Must hold at least {}.",
    "minItems": "Must hold at least {}.",
    "minProperties": "Must hold at least {}.",
    "maxLength": "Must hold at most {}.",
    "maxItems": "Must hold at most {}.",
    "maxProperties": "Must hold at most {}.",
    "uniqueItems": "Holds something twice.",
}
_KINDS = {
    "object": "an object",
    "array": "an array",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


def _message(error: ValidationError) -> str:
    rule: Any = error.validator
    limit: Any = error.validator_value
    schema: Any = error.schema
    match rule:
        case "type":
            kinds = [limit] if isinstance(limit, str) else limit
            return f"Must be {' or '.join(_KINDS.get(kind, kind) for kind in kinds)}."
        case "required":
            named = re.match(r"'([^']*)' is a required", error.message)
            return f"Lacks `{named[1]}`." if named else "Lacks something required."
        case "additionalProperties":
            return (
                f"Is unknown here. Known are: {', '.join(limit)}." if limit else "Is unknown here."
            )
        case "propertyNames":
            return (
                f"This name must be {limit['description']}."
                if "description" in limit
                else "This name isn't allowed here."
            )
        case "enum":
            return f"Must be one of: {', '.join(str(item) for item in limit)}."
        case "pattern":
            return (
                f"Must be {schema['description']}."
                if "description" in schema
                else f"Must match {limit}."
            )
        case _:
            return _MESSAGES.get(rule, f"Breaks the rule `{rule}`.").format(limit)
