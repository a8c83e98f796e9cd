import time
from pathlib import Path
from typing import Any

import pytest

from orbit.pipeline import registry
from orbit.profiles import files, schema
from orbit.profiles.schema import FileProblem

CONFIG = Path(__file__).resolve().parents[3] / "config"
PROFILE: dict[str, Any] = {
    "profile_id": "p1",
    "label": "P1",
    "state": "enabled",
    "style_vector": {},
    "asset_bindings": {},
    "distribution_map": {},
    "value_tags": ["kit"],
    "execution_rules": {"tiers": {}},
}
RUN_PROFILE: dict[str, Any] = {
    "run_profile_id": "r1",
    "profile_id": "p1",
    "namespace": "eu",
    "state": "enabled",
    "execution_policy": {},
    "asset_bundle": {},
    "distribution_targets": ["default-endpoint"],
    "value_tags": ["kit"],
}


def check(
    profiles: list[Any], run_profiles: list[Any], endpoints: set[str] | None = None
) -> list[FileProblem]:
    return schema.check(
        profiles,
        run_profiles,
        endpoints=endpoints,
        transformers=registry.option_checks(),
        processors=registry.processor_names(),
    )


def tier(**rule: Any) -> dict[str, Any]:
    return {**PROFILE, "execution_rules": {"tiers": {"2": {"transformer": "passthrough", **rule}}}}


def test_the_shipped_configuration_has_no_error() -> None:
    documents = files.read(CONFIG)
    assert check(documents.profiles, documents.run_profiles, {"default-endpoint"}) == []
    assert [document["profile_id"] for document in documents.profiles] == ["aurora-daily"]


def test_everything_that_a_profile_may_hold_passes() -> None:
    rule = {
        "transformer": "template",
        "options": {"template": "$payload"},
        "max_attempts": 10,
        "backoff_base": 0.01,
        "timeout": 60,
    }
    policy = {
        "cron": "*/5 6-8 * * 1-5",
        "time_zone": "Europe/Berlin",
        "max_dispatch_retries": 0,
        "on_missed": "skip",
        "max_lateness": 0,
    }
    full = {
        **PROFILE,
        "style_vector": {"deep": [{"free": None}]},
        "execution_rules": {
            "tiers": {"1": rule, "2": rule, "3": rule},
            "normalizer": {"processor": "passthrough"},
        },
    }
    assert check([full], [{**RUN_PROFILE, "execution_policy": policy}], {"default-endpoint"}) == []


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({}, ""),
        ([], ""),
        ({**PROFILE, "colour": 1}, "/colour"),
        ({**PROFILE, "profile_id": "a b"}, "/profile_id"),
        ({**PROFILE, "profile_id": "a\n"}, "/profile_id"),
        ({**PROFILE, "profile_id": "x" * 101}, "/profile_id"),
        ({**PROFILE, "profile_id": 5}, "/profile_id"),
        ({**PROFILE, "label": ""}, "/label"),
        ({**PROFILE, "label": "x" * 201}, "/label"),
        ({**PROFILE, "label": "a\u202eb"}, "/label"),
        ({**PROFILE, "label": "a\x07"}, "/label"),
        ({**PROFILE, "label": "  "}, "/label"),
        ({**PROFILE, "state": "on"}, "/state"),
        ({**PROFILE, "style_vector": []}, "/style_vector"),
        ({**PROFILE, "value_tags": ["a", "a"]}, "/value_tags"),
        ({**PROFILE, "value_tags": ["a\nb"]}, "/value_tags/0"),
        ({**PROFILE, "value_tags": [1]}, "/value_tags/0"),
        ({**PROFILE, "style_vector": {"n": 2**60}}, "/style_vector/n"),
        ({**PROFILE, "style_vector": {"n": "x" * 300_000}}, ""),
        ({**PROFILE, "style_vector": {str(number): 1 for number in range(1001)}}, "/style_vector"),
        ({**PROFILE, "execution_rules": {"tier": {}}}, "/execution_rules/tier"),
        ({**PROFILE, "execution_rules": {"tiers": {"4": {}}}}, "/execution_rules/tiers/4"),
        ({**PROFILE, "execution_rules": {"tiers": {"1": {}}}}, "/execution_rules/tiers/1"),
        (
            {**PROFILE, "execution_rules": {"normalizer": {"processor": "unknown"}}},
            "/execution_rules/normalizer/processor",
        ),
        (tier(transformer="unknown"), "/execution_rules/tiers/2/transformer"),
        (tier(transformer="os.system"), "/execution_rules/tiers/2/transformer"),
        (tier(options={"x": 1}), "/execution_rules/tiers/2/options/x"),
        (tier(transformer="template"), "/execution_rules/tiers/2/options"),
        (
            tier(transformer="template", options={"template": "$unknown"}),
            "/execution_rules/tiers/2/options/template",
        ),
        (
            tier(transformer="http", options={"url": "ftp://x/"}),
            "/execution_rules/tiers/2/options/url",
        ),
        (tier(max_attempts=0), "/execution_rules/tiers/2/max_attempts"),
        (tier(max_attempts=11), "/execution_rules/tiers/2/max_attempts"),
        (tier(max_attempts=True), "/execution_rules/tiers/2/max_attempts"),
        (tier(backoff_base=0), "/execution_rules/tiers/2/backoff_base"),
        (tier(backoff_base=61), "/execution_rules/tiers/2/backoff_base"),
        (tier(timeout=0.5), "/execution_rules/tiers/2/timeout"),
        (tier(timeout=61), "/execution_rules/tiers/2/timeout"),
    ],
)
def test_each_error_of_a_profile_is_found_at_its_place(document: Any, pointer: str) -> None:
    problems = check([PROFILE | {"profile_id": "other"}, document], [])
    assert {(problem.file, problem.pointer) for problem in problems} == {
        ("profiles.json", f"/1{pointer}")
    }


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"profile_id": "p2"}, "/profile_id"),
        ({"namespace": ""}, "/namespace"),
        ({"namespace": "e u"}, "/namespace"),
        ({"state": None}, "/state"),
        ({"extra": 1}, "/extra"),
        ({"execution_policy": {"cron": "0 6 * *"}}, "/execution_policy/cron"),
        ({"execution_policy": {"cron": "0 0 6 * * *"}}, "/execution_policy/cron"),
        ({"execution_policy": {"cron": "61 6 * * *"}}, "/execution_policy/cron"),
        ({"execution_policy": {"cron": "0 0 30 2 *"}}, "/execution_policy/cron"),
        ({"execution_policy": {"cron": "@daily   x"}}, "/execution_policy/cron"),
        ({"execution_policy": {"cron": "1/2/3 * * * *"}}, "/execution_policy/cron"),
        ({"execution_policy": {"cron": "L/L * * * *"}}, "/execution_policy/cron"),
        ({"execution_policy": {"time_zone": "Mars/Base"}}, "/execution_policy/time_zone"),
        ({"execution_policy": {"time_zone": "../../etc/passwd"}}, "/execution_policy/time_zone"),
        (
            {"execution_policy": {"max_dispatch_retries": -1}},
            "/execution_policy/max_dispatch_retries",
        ),
        ({"execution_policy": {"on_missed": "twice"}}, "/execution_policy/on_missed"),
        ({"execution_policy": {"max_lateness": 1.5}}, "/execution_policy/max_lateness"),
        ({"execution_policy": {"crn": "x"}}, "/execution_policy/crn"),
        ({"distribution_targets": ["default-endpoint", "unknown"]}, "/distribution_targets/1"),
        ({"distribution_targets": "default-endpoint"}, "/distribution_targets"),
        ({"value_tags": ["\u200b"]}, "/value_tags/0"),
    ],
)
def test_each_error_of_a_run_profile_is_found_at_its_place(
    change: dict[str, Any], pointer: str
) -> None:
    problems = check([PROFILE], [{**RUN_PROFILE, **change}], {"default-endpoint"})
    assert [(problem.file, problem.pointer) for problem in problems] == [
        ("runProfiles.json", f"/0{pointer}")
    ]


def test_every_error_of_both_files_is_reported_at_once() -> None:
    problems = check(
        [{**PROFILE, "label": 1, "state": 2}, PROFILE],
        [{**RUN_PROFILE, "profile_id": "x"}, RUN_PROFILE],
    )
    assert [(problem.file, problem.pointer) for problem in problems] == [
        ("profiles.json", "/0/label"),
        ("profiles.json", "/0/state"),
        ("runProfiles.json", "/0/profile_id"),
        ("profiles.json", "/1/profile_id"),
        ("runProfiles.json", "/1/run_profile_id"),
    ]


def test_an_error_hides_no_other_error_of_the_same_document() -> None:
    rules = {
        "tiers": {
            "1": {"transformer": "unknown", "timeout": 0},
            "2": {"transformer": "http", "options": {"url": "ftp://x/"}},
            "9": {},
        },
        "normalizer": {"processor": "unknown"},
    }
    problems = check(
        [{**PROFILE, "state": "on", "execution_rules": rules, "value_tags": [1, "\u200b"]}],
        [
            {
                **RUN_PROFILE,
                "namespace": "e u",
                "profile_id": "p2",
                "execution_policy": {"cron": "61 6 * * *", "time_zone": "Mars/Base"},
                "distribution_targets": [{}, "unknown"],
            }
        ],
        {"default-endpoint"},
    )
    assert {problem.pointer for problem in problems if problem.file == "profiles.json"} == {
        "/0/state",
        "/0/execution_rules/tiers/1/transformer",
        "/0/execution_rules/tiers/1/timeout",
        "/0/execution_rules/tiers/2/options/url",
        "/0/execution_rules/tiers/9",
        "/0/execution_rules/normalizer/processor",
        "/0/value_tags/0",
        "/0/value_tags/1",
    }
    assert {problem.pointer for problem in problems if problem.file == "runProfiles.json"} == {
        "/0/namespace",
        "/0/profile_id",
        "/0/execution_policy/cron",
        "/0/execution_policy/time_zone",
        "/0/distribution_targets/0",
        "/0/distribution_targets/1",
    }


@pytest.mark.parametrize(
    ("targets", "endpoints", "fine"),
    [
        (["default-endpoint"], set(), True),
        ([], set(), True),
        (["aurora"], set(), False),
        (["aurora"], None, True),
        (["aurora"], {"aurora"}, True),
        ([], {"aurora"}, False),
        ([], {"default-endpoint"}, True),
        (["default-endpoint"], {"aurora"}, False),
    ],
)
def test_targets_must_be_configured_but_for_the_default_while_nothing_is(
    targets: list[str], endpoints: set[str] | None, fine: bool
) -> None:
    assert (
        check([PROFILE], [{**RUN_PROFILE, "distribution_targets": targets}], endpoints) == []
    ) is fine


def test_no_pattern_of_the_schemas_is_slow_for_any_input() -> None:
    started = time.thread_time()
    check(
        [
            {**PROFILE, "profile_id": "a" * 200_000 + "!"},
            tier(transformer="http", options={"url": "x", "headers": {"X": " " * 200_000 + "\n"}}),
        ],
        [{**RUN_PROFILE, "namespace": "-" * 200_000}],
    )
    assert time.thread_time() - started < 30  # a quadratic pattern takes minutes


def test_a_thousand_documents_are_checked_in_seconds() -> None:
    started = time.thread_time()
    profiles = [{**PROFILE, "profile_id": f"p{number}"} for number in range(500)]
    assert (
        check(
            profiles,
            [
                {**RUN_PROFILE, "run_profile_id": f"r{number}", "profile_id": f"p{number}"}
                for number in range(500)
            ],
        )
        == []
    )
    assert time.thread_time() - started < 30


def test_a_number_that_the_database_would_change_is_refused_with_its_pointer() -> None:
    problems = schema.profile_problems(
        {"profile_id": "p", "label": "P", "state": "enabled", "style_vector": {"a": [1, 1e22]}},
        transformers={},
        processors=[],
    )
    assert [problem["pointer"] for problem in problems] == ["/style_vector/a/1"]
