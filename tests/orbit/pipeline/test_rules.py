"""Execution rules: what is left out gets the documented defaults."""

from orbit.pipeline import rules
from orbit.pipeline.rules import TierRule

TEMPLATE = {"transformer": "template", "options": {"template": "x"}, "timeout": 5}


def test_an_omitted_tier_passes_its_input_through() -> None:
    instruction = {"execution_rules": {"tiers": {"2": TEMPLATE}}}
    assert rules.tier_rule(instruction, 1) == TierRule("passthrough", {}, 3, 1.0, 30.0)
    assert rules.tier_rule({}, 3) == TierRule("passthrough", {}, 3, 1.0, 30.0)


def test_a_tier_keeps_its_members_and_gets_defaults_for_the_others() -> None:
    instruction = {"execution_rules": {"tiers": {"2": TEMPLATE}}}
    assert rules.tier_rule(instruction, 2) == TierRule("template", {"template": "x"}, 3, 1.0, 5)


def test_a_member_of_a_newer_release_is_ignored() -> None:
    instruction = {"execution_rules": {"tiers": {"1": {**TEMPLATE, "colour": "blue"}}}}
    assert rules.tier_rule(instruction, 1).transformer == "template"


def test_normalization_passes_through_unless_a_processor_is_named() -> None:
    assert rules.processor_name({}) == "passthrough"
    own = {"execution_rules": {"normalizer": {"processor": "own"}}}
    assert rules.processor_name(own) == "own"
