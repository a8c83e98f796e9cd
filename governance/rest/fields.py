"""Objects in answers: one list of fields gives both their JSON Schema and their JSON.

::

    CYCLE = Fields("Cycle", id=field(UUID, "pk"), status=one_of(Cycle), reason=TEXT)
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from governance.rest import schemas
from governance.rest.schemas import Schema

#: Reads one field's value from the object that an answer shows.
Read = Callable[[Any], object]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an answer; ``read`` is None if ``of`` gets the value."""

    schema: Schema
    read: Read | None
    optional: bool = False


class Fields:
    """An object in answers. A plain schema reads its own name's attribute."""

    def __init__(self, title: str | None = None, /, **fields: "Schema | Field") -> None:
        self.fields = {
            name: part if isinstance(part, Field) else Field(part, attrgetter(name))
            for name, part in fields.items()
        }
        self.schema = schemas.record(
            title,
            optional=[name for name, part in self.fields.items() if part.optional],
            **{name: part.schema for name, part in self.fields.items()},
        )

    def of(self, row: object, /, **computed: object) -> dict[str, object]:
        """Return the JSON of ``row``; optional fields that are None are left out."""
        values = {
            name: computed[name] if part.read is None else part.read(row)
            for name, part in self.fields.items()
            if part.read is not None or name in computed or not part.optional
        }
        return {
            name: value
            for name, value in values.items()
            if value is not None or not self.fields[name].optional
        }


def field(schema: Schema, source: str | Read) -> Field:
    """Return a field read from an attribute (``a.b`` too) or by a function."""
    return Field(schema, _getter(source))


def computed(schema: Schema) -> Field:
    """Return a field whose value is passed to ``Fields.of``."""
    return Field(schema, None)


def optional(part: Field) -> Field:
    """Return ``part`` as a field that may be absent."""
    return replace(part, optional=True)


def nested(fields: Fields, source: str | Read) -> Field:
    """Return a field that shows the object ``source`` as ``fields``."""
    get = _getter(source)
    return Field(fields.schema, lambda row: fields.of(get(row)))


def nullable(fields: Fields, source: str | Read) -> Field:
    """Return a field like ``nested`` that may be null."""
    get = _getter(source)

    def read(row: object) -> object:
        value = get(row)
        return None if value is None else fields.of(value)

    return Field(schemas.maybe(fields.schema), read)


def each(fields: Fields, source: str | Read) -> Field:
    """Return a field that shows each object of the list ``source``."""
    get = _getter(source)

    def read(row: object) -> object:
        rows: Iterable[object] = get(row)  # type: ignore[assignment]
        return [fields.of(item) for item in rows]

    return Field(schemas.many(fields.schema), read)


def under(source: str | Read, fields: Fields) -> dict[str, Field]:
    """Return ``fields``, read from the object ``source`` of a row."""
    get = _getter(source)

    def moved(part: Field) -> Field:
        read = part.read
        return part if read is None else replace(part, read=lambda row: read(get(row)))

    return {name: moved(part) for name, part in fields.fields.items()}


def page_of(item: Fields | Schema) -> Schema:
    """Return the schema of a list in pages."""
    schema = item.schema if isinstance(item, Fields) else item
    link = {"type": ["string", "null"], "format": "uri", "description": "address of that page"}
    return schemas.record(results=schemas.many(schema), next=link, previous=link)


def _getter(source: str | Read) -> Read:
    return attrgetter(source) if isinstance(source, str) else source
