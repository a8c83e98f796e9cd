"""The JSON Schemas of answers. A record with a title becomes a component."""

from collections.abc import Iterable, Mapping
from typing import Any

Schema = Mapping[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
TRUTH: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
UUID: Schema = {"type": "string", "format": "uuid"}
SHA256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
#: An object whose members are defined elsewhere.
FREE: Schema = {"type": "object"}
ANYTHING: Schema = {}
PLAIN_TEXT: Schema = {"type": "string", "contentMediaType": "text/plain"}
NOTHING: Schema = {"type": "null"}


def record(
    title: str | None = None, /, *, optional: Iterable[str] = (), **members: Schema
) -> Schema:
    """Return the schema of an object; ``optional`` members may be absent."""
    absent = set(optional)
    named = {} if title is None else {"title": title}
    return {
        **named,
        "type": "object",
        "properties": members,
        "required": [name for name in members if name not in absent],
    }


def maybe(schema: Schema) -> Schema:
    """Return the schema of a value that may be null."""
    if "title" in schema or "type" not in schema or "enum" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def one_of(choices: Iterable[Any]) -> Schema:
    """Return the schema of a member of an enumeration."""
    return {"type": "string", "enum": [str(choice) for choice in choices]}


def many(schema: Schema) -> Schema:
    """Return the schema of an array."""
    return {"type": "array", "items": schema}


def inlined(title: str, schema: Schema) -> Schema:
    """Return a definition of our schema files with its references written out."""
    definitions = schema.get("$defs", {})

    def expand(part: Any) -> Any:
        if isinstance(part, list):
            return [expand(item) for item in part]
        if not isinstance(part, Mapping):
            return part
        if "$ref" in part:
            return expand(definitions[part["$ref"].rpartition("/")[2]])
        return {name: expand(value) for name, value in part.items() if name != "$defs"}

    return {**expand(schema), "title": title}
