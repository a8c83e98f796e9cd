import time
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema.exceptions import SchemaError

from governance.kernel import schemas

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "size"],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z]+$", "description": "lower-case letters"},
        "size": {"type": "integer", "minimum": 1, "maximum": 9},
        "kind": {"enum": ["big", "small"]},
        "map": {
            "type": "object",
            "propertyNames": {"pattern": "^[a-z]$", "description": "one letter"},
            "additionalProperties": {"type": "number"},
        },
        "list": {
            "type": "array",
            "items": {"type": "string", "maxLength": 3},
            "maxItems": 2,
            "uniqueItems": True,
        },
    },
}


def test_a_fitting_document_has_no_problem() -> None:
    assert (
        schemas.problems(
            SCHEMA, {"name": "a", "size": 1.0, "kind": "big", "map": {"a": 1}, "list": ["x"]}
        )
        == []
    )


@pytest.mark.parametrize(
    ("document", "pointer", "detail"),
    [
        ({"size": 1}, "", "Lacks `name`."),
        ({"name": "a", "size": True}, "/size", "Must be a whole number."),
        ({"name": "a", "size": 0}, "/size", "at least 1"),
        ({"name": "a", "size": 10}, "/size", "at most 9"),
        ({"name": "hush!", "size": 1}, "/name", "Must be lower-case letters."),
        ({"name": "a\n", "size": 1}, "/name", "lower-case"),
        ({"name": "a", "size": 1, "x/y": 1}, "/x~1y", "unknown here. Known are: kind, list"),
        ({"name": "a", "size": 1, "kind": "hush"}, "/kind", "one of: big, small"),
        ({"name": "a", "size": 1, "map": {"ab": 1}}, "/map/ab", "must be one letter"),
        ({"name": "a", "size": 1, "map": {"a": "hush"}}, "/map/a", "a number"),
        ({"name": "a", "size": 1, "list": ["hush"]}, "/list/0", "at most 3"),
        ({"name": "a", "size": 1, "list": ["a", "a"]}, "/list", "twice"),
        ([], "", "Must be an object."),
    ],
)
def test_a_problem_has_its_pointer_and_never_the_value(
    document: object, pointer: str, detail: str
) -> None:
    (problem,) = schemas.problems(SCHEMA, document)
    assert problem["pointer"] == pointer
    assert detail in problem["detail"]
    assert "hush" not in problem["detail"]


def test_every_problem_is_found_at_once() -> None:
    problems = schemas.problems(SCHEMA, {"name": 1, "size": "x", "extra": 1, "list": [1, "long"]})
    assert {problem["pointer"] for problem in problems} == {
        "/name",
        "/size",
        "/extra",
        "/list/0",
        "/list/1",
    }


@pytest.mark.parametrize(
    "text", ["a\x00", "a\nb", "\x7f", "\u202eabc", "\u200b", "\u2028", "\ufeff", "\u2066x"]
)
def test_invisible_characters_are_seen(text: str) -> None:
    assert schemas.unseen(text)


def test_letters_of_any_script_are_no_invisible_characters() -> None:
    assert not schemas.unseen("Zürich \u6771\u4eac \u05e9\u05dc\u05d5\u05dd \U0001f600")


def test_a_broken_schema_is_found_when_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"type": "nonsense"}')
    with pytest.raises(SchemaError):
        schemas.load(tmp_path / "s.json")


def spent(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return time.thread_time() - began


UNIQUE = {"type": "array", "uniqueItems": True}


@pytest.mark.parametrize(
    ("items", "unique"),
    [
        ([1, True], True),
        ([0, False, None, ""], True),
        ([1, 1.0], False),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1.0}], False),
        ([{"a": [1]}, {"a": [True]}], True),
        ([[], {}], True),
        ([["a"], ["a"]], False),
        (["a", "b", "a"], False),
    ],
)
def test_items_are_unique_as_json_values(items: list[object], unique: bool) -> None:
    assert bool(schemas.problems(UNIQUE, items)) is not unique


def test_uniqueness_takes_linear_time() -> None:
    items = [{"k": [number, {"n": number}]} for number in range(50_000)]
    assert spent(lambda: schemas.problems(UNIQUE, items)) < 2
    assert len(schemas.problems(UNIQUE, [*items, items[7]])) == 1


@pytest.mark.parametrize(
    ("schema", "document", "detail"),
    [
        ({**UNIQUE, "maxItems": 5, "items": {"type": "string"}}, [{}] * 90_000, "at most 5"),
        (
            {"maxProperties": 3, "additionalProperties": {"type": "string"}},
            {f"k{number}": number for number in range(90_000)},
            "at most 3",
        ),
        (
            {"maxProperties": 3, "propertyNames": {"pattern": "^x$"}},
            {f"k{number}": number for number in range(90_000)},
            "at most 3",
        ),
        # Quadratic, if it is tried.
        ({"maxLength": 200, "pattern": "^[!-~]+/[!-~]+$"}, "/" * 90_000 + " ", "at most 200"),
        ({"pattern": "^[!-~]+/[!-~]+$"}, "/" * 90_000 + " ", "at most 8192"),
    ],
)
def test_what_is_over_a_cheap_bound_gets_no_dear_check(
    schema: dict[str, object], document: object, detail: str
) -> None:
    found: list[dict[str, str]] = []
    assert spent(lambda: found.extend(schemas.problems(schema, document))) < 1
    assert len(found) == 1
    assert detail in found[0]["detail"]


def test_of_very_many_problems_a_thousand_are_looked_at_and_the_known_names_told_once() -> None:
    document = {"name": "a", "size": 1, **{f"u{number}": 0 for number in range(50_000)}}
    found = schemas.problems(SCHEMA, document)
    assert len(found) == 1_000
    assert sum("Known are" in problem["detail"] for problem in found) == 1
