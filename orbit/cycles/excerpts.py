"""Payloads as pages show them: their sizes and first bytes, which the database cuts."""

from django.db.models import BinaryField, Case, F, Model, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Length, Substr

from governance import display

#: At most so many bytes of a payload.
EXCERPT = 2048
#: The columns whose bytes may be another row's.
_SHARED = {
    "output": Case(
        When(output_is_input=True, then=F("cycle__input")),
        default=F("output"),
        output_field=BinaryField(),
    )
}


def size(column: str) -> Length:
    """Return the expression of a payload's size in bytes, null if there is none."""
    return Length(_payload(column))


def first_bytes(column: str) -> Substr:
    """Return the expression of a payload's first bytes."""
    # A payload can have many megabytes.
    return Substr(_payload(column), 1, EXCERPT, output_field=BinaryField())


def excerpt(row: Model, column: str) -> str | None:
    """Return the first bytes of a payload or output, readable; None if there is none."""
    values = type(row)._default_manager.filter(pk=row.pk)
    length, data = values.values_list(size(column), first_bytes(column)).get()
    return None if length is None else display.readable(bytes(data), size=length)


def _payload(column: str) -> Combinable:
    return _SHARED.get(column, F(column))
