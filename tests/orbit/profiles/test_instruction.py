import hashlib
import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from orbit.profiles import files, instruction

CONFIG = Path(__file__).resolve().parents[3] / "config"
PROFILE = {
    "profile_id": "p",
    "label": "P",
    "state": "enabled",
    "style_vector": {"tone": 0.7},
    "asset_bindings": {"a": 1},
    "distribution_map": {"d": [2]},
    "value_tags": ["one", "both"],
    "execution_rules": {
        "tiers": {"2": {"transformer": "template", "options": {"template": "x"}, "timeout": 5}}
    },
}
RUN_PROFILE = {
    "run_profile_id": "r",
    "profile_id": "p",
    "namespace": "eu",
    "state": "enabled",
    "execution_policy": {"cron": "0 6 * * *"},
    "asset_bundle": {"b": 1},
    "distribution_targets": ["x"],
    "value_tags": ["both", "two"],
}


def test_the_instruction_holds_exactly_the_documented_members() -> None:
    result = instruction.synthesize(RUN_PROFILE, PROFILE)
    assert result.document == {
        "profile_id": "p",
        "run_profile_id": "r",
        "namespace": "eu",
        "style_vector": {"tone": 0.7},
        "asset_bindings": {"a": 1},
        "asset_bundle": {"b": 1},
        "execution_rules": PROFILE["execution_rules"],
        "execution_policy": {"cron": "0 6 * * *"},
        "distribution_map": {"d": [2]},
        "distribution_targets": ["x"],
        "value_tags": ["one", "both", "two"],
    }


def test_the_body_is_canonical_and_the_id_is_its_hash() -> None:
    result = instruction.synthesize(RUN_PROFILE, PROFILE)
    assert (
        result.body == json.dumps(result.document, sort_keys=True, separators=(",", ":")).encode()
    )
    assert result.instruction_id == hashlib.sha256(result.body).hexdigest()


@given(st.permutations(list(PROFILE)), st.permutations(list(RUN_PROFILE)))
def test_the_order_of_keys_changes_nothing(
    of_profile: list[str], of_run_profile: list[str]
) -> None:
    shuffled = instruction.synthesize(
        {key: RUN_PROFILE[key] for key in of_run_profile}, {key: PROFILE[key] for key in of_profile}
    )
    assert shuffled.instruction_id == instruction.synthesize(RUN_PROFILE, PROFILE).instruction_id


def test_label_and_state_are_no_part_of_it_and_everything_else_is() -> None:
    same = instruction.synthesize(
        {**RUN_PROFILE, "state": "disabled"}, {**PROFILE, "state": "disabled", "label": "Q"}
    )
    assert same.instruction_id == instruction.synthesize(RUN_PROFILE, PROFILE).instruction_id
    changed = [
        instruction.synthesize({**RUN_PROFILE, **change}, PROFILE).instruction_id
        for change in (
            {"namespace": "us"},
            {"asset_bundle": {}},
            {"distribution_targets": []},
            {"execution_policy": {}},
            {"value_tags": []},
        )
    ]
    assert len({same.instruction_id, *changed}) == 6


def test_omitted_members_are_empty_and_never_shared() -> None:
    bare = instruction.synthesize({"run_profile_id": "r", "namespace": "eu"}, {"profile_id": "p"})
    bare.document["style_vector"]["spoilt"] = True
    second = instruction.synthesize({"run_profile_id": "r", "namespace": "eu"}, {"profile_id": "p"})
    assert second.document["style_vector"] == {}


def test_the_demo_s_instruction_can_be_made() -> None:
    documents = files.read(CONFIG)
    assert (
        len(instruction.synthesize(documents.run_profiles[0], documents.profiles[0]).instruction_id)
        == 64
    )
