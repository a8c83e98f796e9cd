"""From a run profile to the context of a cycle."""

import hashlib
import json
from dataclasses import FrozenInstanceError, replace

import pytest

from governance.access.actors import SYSTEM
from orbit.cycles import bridge
from orbit.errors import Disabled, RunProfileUnknown
from orbit.models import RunProfile
from orbit.profiles import revisions
from tests.support.configuration import profile, run_profile, store_profiles


@pytest.mark.django_db
def test_a_context_carries_the_revisions_and_the_instruction_of_the_moment(
    django_assert_num_queries,
) -> None:
    store_profiles([profile(style_vector={"tone": 0.7})], [run_profile(value_tags=["eu"])])
    store_profiles([profile(style_vector={"tone": 0.8})], [])
    with django_assert_num_queries(1):
        context = bridge.context_for("daily-eu", actor=SYSTEM)
    assert (context.namespace, context.profile_id, context.profile_revision) == ("eu", "daily", 2)
    assert (context.run_profile_id, context.run_profile_revision) == ("daily-eu", 1)
    assert context.document["style_vector"] == {"tone": 0.8}
    assert json.loads(context.input) == context.document
    assert context.instruction is not None
    assert context.instruction.instruction_id == hashlib.sha256(context.input).hexdigest()
    with pytest.raises(FrozenInstanceError):
        context.namespace = "us"  # type: ignore[misc]


@pytest.mark.django_db
def test_a_missing_hidden_or_foreign_run_profile_is_unknown() -> None:
    store_profiles([profile()], [run_profile(), run_profile("hidden")])
    revisions.hide_others(profiles=["daily"], run_profiles=["daily-eu"])
    confined = replace(SYSTEM, namespaces=frozenset({"us"}))
    for name, actor in (("unknown", SYSTEM), ("hidden", SYSTEM), ("daily-eu", confined)):
        with pytest.raises(RunProfileUnknown, match=name):
            bridge.context_for(name, actor=actor)


@pytest.mark.django_db
def test_a_disabled_run_profile_and_one_of_a_disabled_profile_are_refused_by_name() -> None:
    store_profiles(
        [profile(), profile("off", state="disabled")],
        [run_profile(state="disabled"), run_profile("off-eu", "off")],
    )
    with pytest.raises(Disabled, match="run profile daily-eu is disabled"):
        bridge.context_for("daily-eu", actor=SYSTEM)
    with pytest.raises(Disabled, match="profile off is disabled, and off-eu with it"):
        bridge.context_for("off-eu", actor=SYSTEM)


@pytest.mark.django_db
def test_an_edit_changes_the_next_context_and_no_earlier_one() -> None:
    store_profiles([profile()], [run_profile()])
    before = bridge.context_for("daily-eu", actor=SYSTEM)
    store_profiles([profile(style_vector={"tone": 1})], [])
    after = bridge.context_for("daily-eu", actor=SYSTEM)
    assert before.document["style_vector"] == {}
    assert bridge.initiation_hash(before) != bridge.initiation_hash(after)


@pytest.mark.django_db
def test_equal_documents_give_equal_hashes_whatever_their_history() -> None:
    store_profiles([profile()], [run_profile()])
    before = bridge.initiation_hash(bridge.context_for("daily-eu", actor=SYSTEM))
    store_profiles([profile(label="Another", style_vector={"tone": 1})], [])
    store_profiles([profile(label="Another")], [])
    RunProfile.objects.update(revision=7)
    assert bridge.initiation_hash(bridge.context_for("daily-eu", actor=SYSTEM)) == before


def test_a_raw_cycle_has_an_empty_input_and_a_hash_over_nulls() -> None:
    context = bridge.raw_context("eu")
    assert (context.input, context.document, context.instruction) == (b"{}", {}, None)
    canonical = b'{"instruction_id":null,"namespace":"eu","profile_id":null,"run_profile_id":null}'
    assert bridge.initiation_hash(context) == hashlib.sha256(canonical).hexdigest()
    assert bridge.initiation_hash(bridge.raw_context("us")) != bridge.initiation_hash(context)
