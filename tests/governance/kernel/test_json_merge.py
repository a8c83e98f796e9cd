"""Three versions of a document: where they differ, and both changes in one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.kernel import json_diff, json_merge
from governance.kernel.json_diff import ABSENT

BASE = {"a": 1, "b": {"c": 2, "d": [1, 2]}, "e": "x"}
VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "x"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(st.sampled_from("abcd"), VALUES)


def places(theirs: Any, mine: Any) -> list[tuple[Any, ...]]:
    return [
        (place.pointer, place.base, place.other, place.own, place.clash)
        for place in json_merge.places(BASE, theirs, mine)
    ]


def test_a_place_that_one_changed_is_no_clash_and_one_that_both_changed_is() -> None:
    theirs = {"a": 5, "b": {"c": 3, "d": [1, 2]}, "e": "x"}
    mine = {"a": 1, "b": {"c": 4, "d": [1, 2]}, "e": "y", "f": None}
    assert places(theirs, mine) == [
        ("/a", 1, 5, 1, False),
        ("/b/c", 2, 3, 4, True),
        ("/e", "x", "x", "y", False),
        ("/f", ABSENT, ABSENT, None, False),
    ]
    assert json_merge.combine(BASE, theirs, mine) == {
        "a": 5,
        "b": {"c": 4, "d": [1, 2]},
        "e": "y",
        "f": None,
    }


def test_the_same_change_by_both_is_no_clash() -> None:
    both = {**BASE, "a": 9}
    assert places(both, both) == [("/a", 1, 9, 9, False)]


def test_a_list_is_one_place_and_true_is_not_one() -> None:
    theirs = {**BASE, "b": {"c": 2, "d": [1, 2, 3]}}
    mine = {**BASE, "a": True, "b": {"c": 2, "d": [2]}}
    assert [place[0] for place in places(theirs, mine)] == ["/a", "/b/d"]
    assert json_merge.combine(BASE, theirs, mine)["b"]["d"] == [2]


@pytest.mark.parametrize("theirs", [{}, {"a": 1, "b": 7, "e": "x"}])
def test_a_member_that_they_removed_or_replaced_meets_a_change_inside(theirs: Any) -> None:
    mine = {**BASE, "b": {"c": 3, "d": [1, 2]}}
    assert [place[4] for place in places(theirs, mine) if place[0] == "/b"] == [True]
    assert json_merge.combine(BASE, theirs, mine)["b"] == mine["b"]


@given(DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_no_change_is_lost(base: Any, theirs: Any, mine: Any) -> None:
    combined = json_merge.combine(base, theirs, mine)
    for place in json_merge.places(base, theirs, mine):
        changed_by_me = json_diff.changes(place.base, place.own)
        kept = place.own if changed_by_me else place.other
        value: Any = combined
        for step in place.path:
            value = value.get(step, ABSENT)
        assert not json_diff.changes(value, kept)


def test_an_object_that_both_added_is_compared_inside() -> None:
    own, other = {**BASE, "n": {"x": 1, "y": 2}}, {**BASE, "n": {"x": 1, "z": 3}}
    assert [place[0] for place in places(other, own)] == ["/n/x", "/n/y", "/n/z"]
    assert json_merge.combine(BASE, other, own)["n"] == {"x": 1, "y": 2, "z": 3}
