"""What no proposal may change, whatever way its patch takes."""

from typing import Any

import pytest

from advisory.proposals import forbidden, patches
from tests.advisory.proposals.test_patches import DOCUMENT, operation

URL = "/execution_rules/tiers/3/options/url"
RUN_PROFILE: dict[str, Any] = {
    "run_profile_id": "daily-eu",
    "profile_id": "daily",
    "namespace": "eu",
    "state": "enabled",
    "distribution_targets": ["a", "b"],
}
TIERS = DOCUMENT["execution_rules"]["tiers"]
OTHER_URL = {**TIERS, "3": {"transformer": "http", "options": {"url": "https://evil.example"}}}


def problems(noun: str, document: dict[str, Any], *operations: Any) -> list[dict[str, str]]:
    patch = patches.parse(list(operations))
    return forbidden.problems(noun, patch, document, patches.apply(document, patch))


@pytest.mark.parametrize(
    ("operations", "pointer", "named"),
    [
        ([operation("replace", "/profile_id", value="x")], "/patch/0/path", "/profile_id"),
        ([operation("add", "/profile_id", value="x")], "/patch/0/path", "/profile_id"),
        ([operation("copy", from_="/profile_id")], "/patch/0/from", "/profile_id"),
        ([operation("move", "/profile_id", from_="/label")], "/patch/0/path", "/profile_id"),
        ([operation("replace", URL, value="https://evil.example")], "/patch/0/path", "options"),
        ([operation("copy", "/label", from_=URL)], "/patch/0/from", "options"),
        (
            [operation("add", "/execution_rules/tiers/3/options/headers/a~1b", value="x")],
            "/patch/0/path",
            "options",
        ),
        (
            [operation("test", "/state", value="enabled"), operation("remove", URL)],
            "/patch/1/path",
            "options",
        ),
        ([operation("replace", "/execution_rules/tiers", value=OTHER_URL)], "/patch/0/path", "opt"),
        ([operation("remove", "/execution_rules")], "/patch/0/path", "transformer"),
        (
            [
                operation("copy", "/execution_rules/tiers/1", from_="/execution_rules/tiers/2"),
            ],
            "/patch/0/path",
            "/execution_rules/tiers/1/transformer",
        ),
        (
            [operation("replace", "/execution_rules/tiers/2/transformer", value="http")],
            "/patch/0/path",
            "transformer",
        ),
        ([operation("replace", "", value={"profile_id": "y"})], "/patch/0/path", "/profile_id"),
        (
            [operation("replace", "", value={**DOCUMENT, "execution_rules": {"tiers": OTHER_URL}})],
            "/patch/0/path",
            "options",
        ),
        (
            [operation("add", "/distribution_map", value={"x": "y"})],
            "/patch/0/path",
            "/distribution_map",
        ),
    ],
)
def test_a_profiles_forbidden_paths_are_refused(
    operations: list[dict[str, Any]], pointer: str, named: str
) -> None:
    found = problems("profile", DOCUMENT, *operations)
    assert pointer in [problem["pointer"] for problem in found]
    assert any(named in problem["detail"] for problem in found)


@pytest.mark.parametrize("from_", ["", "/execution_rules", "/execution_rules/tiers/3"])
def test_options_are_not_copied_along_with_a_parent(from_: str) -> None:
    found = problems("profile", DOCUMENT, operation("copy", "/style_vector", from_=from_))
    assert [problem["pointer"] for problem in found] == ["/patch/0/from"]
    assert "can't copy or move" in found[0]["detail"]


@pytest.mark.parametrize(
    "operations",
    [
        [operation("replace", "/run_profile_id", value="x")],
        [operation("replace", "/profile_id", value="x")],
        [operation("replace", "/namespace", value="us")],
        [operation("move", "/label", from_="/namespace")],
        [operation("add", "/distribution_targets/-", value="c")],
        [operation("replace", "/distribution_targets", value=["c"])],
        # An empty list, as well as none, means the default endpoint.
        [operation("replace", "/distribution_targets", value=[])],
        [operation("remove", "/distribution_targets")],
        [operation("remove", "/distribution_targets/0")] * 2,
    ],
)
def test_a_run_profiles_forbidden_paths_and_new_targets_are_refused(
    operations: list[dict[str, Any]],
) -> None:
    (problem,) = problems("run_profile", RUN_PROFILE, *operations)
    assert problem["pointer"].startswith("/patch/0/")


@pytest.mark.parametrize(
    ("noun", "document", "operations"),
    [
        ("profile", DOCUMENT, [operation("replace", "/state", value="disabled")]),
        ("profile", DOCUMENT, [operation("add", "/execution_rules/tiers/3/timeout", value=5)]),
        (
            "profile",
            DOCUMENT,
            [operation("replace", "/execution_rules/tiers/2/options/template", value="y")],
        ),
        (
            "profile",
            DOCUMENT,
            [operation("test", "/profile_id", value="daily"), operation("replace", value="x")],
        ),
        ("profile", DOCUMENT, [operation("replace", "", value={**DOCUMENT, "label": "New"})]),
        ("run_profile", RUN_PROFILE, [operation("remove", "/distribution_targets/0")]),
        ("run_profile", RUN_PROFILE, [operation("add", "/execution_policy", value={"cron": "x"})]),
    ],
)
def test_anything_else_may_be_proposed(
    noun: str, document: dict[str, Any], operations: list[dict[str, Any]]
) -> None:
    assert problems(noun, document, *operations) == []


def test_the_options_of_a_plug_in_may_say_where_data_goes() -> None:
    document = {
        "execution_rules": {"tiers": {"1": {"transformer": "plug-in", "options": {"to": "x"}}}}
    }
    path = "/execution_rules/tiers/1/options/to"
    (problem,) = problems("profile", document, operation("replace", path, value="y"))
    assert "/execution_rules/tiers/1/options" in problem["detail"]
