"""JSON Schema with plain errors. They never hold the value, which may be a secret."""

import json
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


def _pattern(
    validator: Any, pattern: str, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    # Python's `$` matches before a trailing line break too, JSON Schema's doesn't.
    if isinstance(instance, str) and (
        not re.search(pattern, instance) or (pattern.endswith("$") and instance.endswith("\n"))
    ):
        yield ValidationError("pattern")


def _additional(
    validator: Any, allowed: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    # jsonschema makes one error for all names; these have a pointer each.
    if allowed is False and isinstance(instance, dict):
        properties = schema.get("properties", {})
        patterns = schema.get("patternProperties", {})
        for name in instance:
            if name not in properties and not any(re.search(regex, name) for regex in patterns):
                yield ValidationError(
                    "additionalProperties", path=[name], validator_value=sorted(properties)
                )
    elif isinstance(allowed, dict) and isinstance(instance, dict):
        yield from Draft202012Validator.VALIDATORS["additionalProperties"](
            validator, allowed, instance, schema
        )


def _names(
    validator: Any, rule: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for name in instance:
            if next(validator.descend(name, rule), None) is not None:
                yield ValidationError("propertyNames", path=[name], validator_value=rule)


_Validator: Any = extend(
    Draft202012Validator,
    {"pattern": _pattern, "additionalProperties": _additional, "propertyNames": _names},
)  # type: ignore[no-untyped-call]


def load(path: Path) -> dict[str, Any]:
    """Read and check a schema that ships with Orbit."""
    schema: dict[str, Any] = json.loads(path.read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return schema


def problems(schema: Mapping[str, Any], document: Any) -> list[dict[str, str]]:
    """Return all errors as ``{pointer, detail}``, sorted by pointer."""
    errors = [
        {"pointer": pointer(error.absolute_path), "detail": _message(error)}
        for error in _Validator(schema).iter_errors(document)
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
