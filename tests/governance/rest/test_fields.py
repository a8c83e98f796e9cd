"""Answers: one list of fields gives the schema and the JSON."""

from types import SimpleNamespace as Row

import pytest

from governance.rest.fields import Fields, computed, each, field, nullable, optional, under
from governance.rest.schemas import TEXT, WHOLE, maybe

THING = Fields(
    "Thing",
    id=field(WHOLE, "pk"),
    name=TEXT,
    loud=field(TEXT, lambda thing: thing.name.upper()),
)


def test_a_field_is_read_from_its_own_name_another_one_or_by_a_function() -> None:
    assert THING.of(Row(pk=7, name="a")) == {"id": 7, "name": "a", "loud": "A"}


def test_the_schema_has_the_same_fields_in_the_same_order() -> None:
    assert THING.schema == {
        "title": "Thing",
        "type": "object",
        "properties": {"id": WHOLE, "name": TEXT, "loud": TEXT},
        "required": ["id", "name", "loud"],
    }


def test_an_optional_field_is_left_out_if_it_is_none_and_a_null_stays() -> None:
    answer = Fields(note=optional(field(TEXT, "note")), end=maybe(TEXT))
    assert answer.schema["required"] == ["end"]
    assert answer.of(Row(note=None, end=None)) == {"end": None}
    assert answer.of(Row(note="n", end="e")) == {"note": "n", "end": "e"}


def test_a_computed_field_is_passed_and_can_not_be_forgotten() -> None:
    answer = Fields(name=TEXT, verdict=computed(TEXT))
    assert answer.of(Row(name="a"), verdict="fine") == {"name": "a", "verdict": "fine"}
    with pytest.raises(KeyError, match="verdict"):
        answer.of(Row(name="a"))


def test_answers_inside_of_answers() -> None:
    answer = Fields(first=nullable(THING, "first"), things=each(THING, "things"))
    thing = {"id": 7, "name": "a", "loud": "A"}
    row = Row(first=None, things=[Row(pk=7, name="a")])
    assert answer.of(row) == {"first": None, "things": [thing]}
    assert answer.schema["properties"]["things"]["items"] == THING.schema


def test_fields_of_an_object_inside_of_the_row() -> None:
    answer = Fields(**under("thing", THING), size=WHOLE)
    row = Row(thing=Row(pk=7, name="a"), size=3)
    assert answer.of(row) == {"id": 7, "name": "a", "loud": "A", "size": 3}
