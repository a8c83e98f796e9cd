"""What a deed changed."""

from typing import Any

import pytest

from governance.console.changes import MOST, Change, between


@pytest.mark.parametrize(("before", "after", "expected"), [
    (None, None, []),
    ({"a": 1}, {"a": 1}, []),
    ({"a": 1}, {"a": "1"}, []),
    (None, {"a": 1}, [Change("/a", None, "1")]),
    ({"a": 1, "b": {}}, {"b": {"c": None}}, [Change("/a", "1", None), Change("/b", "{}", None), Change("/b/c", None, "null")]),
    ([1, 2], [1, 3], [Change("/1", "2", "3")]),
    ("x", "y", [Change("/", "x", "y")]),
    ({"a/b~": 1}, {}, [Change("/", None, "{}"), Change("/a~1b~0", "1", None)]),
])  # fmt: skip
def test_each_place_that_differs_is_named(before: Any, after: Any, expected: list[Change]) -> None:
    assert between(before, after) == expected


def test_no_more_are_named_than_a_page_holds() -> None:
    assert len(between(None, list(range(MOST * 3)))) == MOST
