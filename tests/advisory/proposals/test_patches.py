"""JSON Patches: what is refused, with the place, and what is applied."""

import json
import random
import time
from typing import Any

import pytest

from advisory.proposals import forbidden, patches
from advisory.proposals.patches import PatchInvalid

DOCUMENT: dict[str, Any] = {
    "profile_id": "daily",
    "label": "Daily",
    "state": "enabled",
    "value_tags": ["a", "b"],
    "style_vector": {"a/b": 1, "m~n": 2},
    "execution_rules": {
        "tiers": {
            "2": {"transformer": "template", "options": {"template": "x"}, "max_attempts": 3},
            "3": {
                "transformer": "http",
                "options": {"url": "https://a.example", "headers": {"X-Key": "k"}},
            },
        }
    },
}


def operation(op: str, path: str = "/label", **members: Any) -> dict[str, Any]:
    return {"op": op, "path": path, **{name.rstrip("_"): value for name, value in members.items()}}


def refused(patch: Any, document: dict[str, Any] = DOCUMENT) -> list[dict[str, str]]:
    with pytest.raises(PatchInvalid) as exc_info:
        patches.apply(document, patches.parse(patch))
    return exc_info.value.errors


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("patch", "pointer", "words"),
    [
        ({}, "/patch", "Must be a list"),
        ("[]", "/patch", "Must be a list"),
        (None, "/patch", "Must be a list"),
        ([], "/patch", "Holds no operation"),
        ([operation("remove")] * 101, "/patch", "at most 100 operations"),
        ([operation("add", value="x" * 70_000)], "/patch", "at most 64 KiB"),
        (["remove"], "/patch/0", "Must be an object"),
        ([operation("remove"), operation("append", value=1)], "/patch/1/op", "Must be one of"),
        ([{"path": "/label"}], "/patch/0/op", "Must be one of"),
        ([{"op": ["add"], "path": "/label"}], "/patch/0/op", "Must be one of"),
        ([operation("add")], "/patch/0", "Lacks `value`"),
        ([{"op": "remove"}], "/patch/0", "Lacks `path`"),
        ([operation("move")], "/patch/0", "Lacks `from`"),
        ([operation("remove", value=1)], "/patch/0/value", "Is no member of `remove`"),
        ([operation("remove", **{"a/b": 1})], "/patch/0/a~1b", "Is no member"),
        ([operation("remove", "label")], "/patch/0/path", "Isn't a JSON pointer"),
        ([operation("remove", "/a~2")], "/patch/0/path", "Isn't a JSON pointer"),
        ([{"op": "remove", "path": 1}], "/patch/0/path", "Must be a JSON pointer"),
        ([operation("copy", from_=None)], "/patch/0/from", "Must be a JSON pointer"),
        ([operation("remove", "/x" * 65)], "/patch/0/path", "deeper than 64"),
        ([operation("remove", "/labels")], "/patch/0/path", "There is no /labels"),
        ([operation("replace", "/value_tags/2", value=1)], "/patch/0/path", "There is no"),
        ([operation("replace", "/value_tags/-", value=1)], "/patch/0/path", "There is no"),
        ([operation("remove", "/value_tags/01")], "/patch/0/path", "There is no"),
        ([operation("remove", "/value_tags/-1")], "/patch/0/path", "There is no"),
        ([operation("add", "/value_tags/3", value=1)], "/patch/0/path", "There is no place"),
        ([operation("add", "/label/x", value=1)], "/patch/0/path", "There is no place"),
        ([operation("add", "/no/x", value=1)], "/patch/0/path", "There is no place"),
        ([operation("move", from_="/no")], "/patch/0/from", "There is no /no"),
        ([operation("copy", from_="/value_tags/-")], "/patch/0/from", "There is no"),
        (
            [operation("move", "/execution_rules/tiers", from_="/execution_rules")],
            "/patch/0",
            "can't be moved into itself",
        ),
        ([operation("remove", "")], "/patch/0", "can't be removed"),
        ([operation("replace", "", value=[])], "/patch", "isn't an object"),
        ([operation("test", value="Nightly")], "/patch/0", "The test failed"),
        ([operation("test", "/state", value=True)], "/patch/0", "The test failed"),
        ([operation("test", "/no/x", value=None)], "/patch/0", "The test failed"),
        ([operation("test", value="Daily")], "/patch", "changes nothing"),
        (
            [operation("add", "/x", value=1), operation("remove", "/x")],
            "/patch",
            "changes nothing",
        ),
        ([operation("add", "/x", value=nested(64))], "/patch/0", "nested deeper than 64"),
    ],
)
def test_a_patch_that_cant_be_used_is_refused_with_the_place(
    patch: Any, pointer: str, words: str
) -> None:
    problem = refused(patch)[0]
    assert problem["pointer"] == pointer
    assert words in problem["detail"]


def test_a_patch_never_becomes_deeper_or_larger_step_by_step() -> None:
    deeper = [operation("add", "/x" * depth, value={}) for depth in range(1, 64)]
    assert patches.apply(DOCUMENT, patches.parse(deeper))["x"]
    wrapped = [operation("add", "/x", value=nested(40)), operation("add", "/y", value=nested(1))]
    wrapped.append(operation("move", "/y/0", from_="/x"))
    assert patches.apply(DOCUMENT, patches.parse(wrapped))["y"]
    wrapped[1] = operation("add", "/y", value=nested(40))
    wrapped[2] = operation("move", "/y" + "/0" * 39, from_="/x")
    assert refused(wrapped)[0] == {
        "pointer": "/patch/2",
        "detail": "The result is nested deeper than 64.",
    }
    doubled = [
        operation("copy", f"/style_vector/{number}", from_="/style_vector") for number in range(60)
    ]
    assert refused(doubled)[0]["detail"] == "The copies of this patch are too large."


def test_a_large_patch_is_refused_before_its_operations_are_looked_at() -> None:
    many = [operation("add", f"/x{number}", value=number) for number in range(20_000)]
    started = time.process_time()
    assert refused(many)[0]["detail"] == "Must hold at most 100 operations."
    few = [operation("add", f"/x{number}", value="x" * 10_000) for number in range(100)]
    assert refused(few)[0]["detail"] == "Must be at most 64 KiB long."
    assert time.process_time() - started < 1


def test_every_problem_of_the_operations_is_named() -> None:
    found = refused([operation("add"), operation("drop"), operation("remove", "x")])
    assert [problem["pointer"] for problem in found] == ["/patch/0", "/patch/1/op", "/patch/2/path"]


def test_a_patch_is_applied_to_a_copy_by_the_rules_of_the_rfc() -> None:
    before = json.dumps(DOCUMENT)
    patch = patches.parse(
        [
            operation("test", "/style_vector/a~1b", value=1.0),
            operation("replace", "/style_vector/a~1b", value=5),
            operation("remove", "/style_vector/m~0n"),
            operation("add", "/value_tags/-", value="c"),
            operation("add", "/value_tags/0", value="z"),
            operation("move", "/asset_bindings", from_="/style_vector"),
            operation("copy", "/style_vector", from_="/asset_bindings"),
            operation("add", "/style_vector/new", value={"deep": [1]}),
            operation("add", "/style_vector/new/deep/-", value=2),
        ]
    )
    sent = json.dumps(patch)
    after = patches.apply(DOCUMENT, patch)
    assert after["value_tags"] == ["z", "a", "b", "c"]
    assert after["asset_bindings"] == {"a/b": 5}
    assert after["style_vector"] == {"a/b": 5, "new": {"deep": [1, 2]}}
    assert (json.dumps(DOCUMENT), json.dumps(patch)) == (before, sent)


def test_whatever_a_patch_says_it_is_applied_or_refused() -> None:
    chance = random.Random(13)
    paths = ["", "/", "/label", "/value_tags", "/value_tags/0", "/value_tags/-", "/value_tags/9"]
    paths += ["/style_vector/a~1b", "/execution_rules/tiers/3", "/label/0", "/no", "/no/no", "/~0"]
    paths += ["/value_tags/" + "9" * 5000, "/value_tags/١", "/profile_id/x", "x", "/~", 3, None]
    values = [None, True, 0, 1.5, "x", [], {}, ["a"], {"a": {"b": []}}, "x" * 300]
    outcomes = {"applied": 0, "refused": 0}
    for _ in range(4000):
        patch = [
            {
                "op": chance.choice([*patches._MEMBERS, "nop"]),
                **{
                    name: chance.choice(choices)
                    for name, choices in (("path", paths), ("from", paths), ("value", values))
                    if name == "path" or chance.random() < 0.5
                },
            }
            for _ in range(chance.randint(1, 3))
        ]
        try:
            after = patches.apply(DOCUMENT, patches.parse(patch))
            forbidden.problems("profile", patches.parse(patch), DOCUMENT, after)
            outcomes["applied"] += 1
        except PatchInvalid as error:
            assert error.errors
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 30
