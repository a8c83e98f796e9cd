"""Revisions: the only module that writes profiles."""

import pytest

from governance.models import GovernanceSetting, Namespace
from orbit.models import Profile, ProfileRevision, RunProfile, RunProfileRevision
from orbit.profiles import revisions
from tests.support.configuration import profile, run_profile, store_profiles

pytestmark = pytest.mark.django_db


def test_a_new_document_is_revision_one_with_its_author_and_source() -> None:
    saved = store_profiles([profile()], [run_profile()])
    assert saved.profiles.created == ("daily",)
    assert saved.run_profiles.created == ("daily-eu",)
    row = RunProfile.objects.get()
    assert (row.run_profile_id, row.profile.profile_id, row.namespace_id, row.revision) == (
        "daily-eu",
        "daily",
        "eu",
        1,
    )
    assert row.document == run_profile()
    revision = ProfileRevision.objects.get()
    assert (revision.number, revision.document, revision.author, revision.source) == (
        1,
        profile(),
        "orbit",
        "admin",
    )


def test_a_change_is_the_next_revision_and_keeps_the_one_before() -> None:
    store_profiles([profile()], [run_profile()])
    saved = store_profiles([profile(label="Another")], [run_profile(state="disabled")])
    assert (saved.profiles.changed, saved.run_profiles.changed, saved.profiles.created) == (
        ("daily",),
        ("daily-eu",),
        (),
    )
    assert Profile.objects.get().label == "Another"
    assert RunProfile.objects.get().state == "disabled"
    assert list(
        ProfileRevision.objects.order_by("number").values_list("number", "document__label")
    ) == [(1, "Daily"), (2, "Another")]
    assert list(
        RunProfileRevision.objects.order_by("number").values_list("number", "document__state")
    ) == [(1, "enabled"), (2, "disabled")]


def test_the_same_document_makes_no_revision_whatever_the_order_of_its_keys() -> None:
    store_profiles([profile(style_vector={"a": 1, "b": 2})], [])
    saved = store_profiles([profile(style_vector={"b": 2.0, "a": 1})], [])
    assert saved.profiles == revisions.DocumentChanges()
    assert ProfileRevision.objects.count() == 1


def test_a_run_profile_that_moves_follows_its_document() -> None:
    store_profiles([profile("one"), profile("two")], [run_profile(profile_id="one")])
    store_profiles([], [run_profile(profile_id="two", namespace="us")])
    row = RunProfile.objects.select_related("profile").get()
    assert (row.profile.profile_id, row.namespace_id, row.revision) == ("two", "us", 2)


def test_namespaces_of_run_profiles_are_created_with_their_settings() -> None:
    saved = store_profiles(
        [profile()],
        [
            run_profile(namespace="eu"),
            run_profile("other", namespace="us"),
            run_profile("third", namespace="eu"),
        ],
    )
    assert saved.namespaces == ("eu", "us")
    assert {
        str(n.external_id.version) for n in Namespace.objects.filter(name__in=["eu", "us"])
    } == {"4"}
    assert (
        GovernanceSetting.objects.filter(namespace__name__in=["eu", "us"], halt=False).count() == 2
    )


def test_a_run_profile_without_its_profile_is_an_error_and_nothing_is_written() -> None:
    with pytest.raises(ValueError, match="no profile nowhere"):
        store_profiles([profile()], [run_profile(profile_id="nowhere")])
    assert not Profile.objects.exists()


def test_a_removed_profile_is_hidden_with_its_history_and_returns_under_its_number() -> None:
    store_profiles(
        [profile("a"), profile("b")], [run_profile("a-eu", "a"), run_profile("b-eu", "b")]
    )
    result = revisions.hide_others(profiles=["a"], run_profiles=["a-eu"])
    assert (result.profiles.hidden, result.run_profiles.hidden) == (("b",), ("b-eu",))
    assert [document["profile_id"] for document in revisions.current().profiles] == ["a"]
    assert ProfileRevision.objects.filter(profile__profile_id="b").count() == 1

    saved = store_profiles([profile("b")], [run_profile("b-eu", "b", state="disabled")])
    assert (saved.profiles.changed, saved.run_profiles.changed) == (("b",), ("b-eu",))
    assert Profile.objects.get(profile_id="b").revision == 1
    assert RunProfile.objects.get(run_profile_id="b-eu").revision == 2
    assert not Profile.objects.filter(hidden=True).exists()


def test_two_thousand_run_profiles_take_a_handful_of_statements(
    django_assert_max_num_queries,
) -> None:
    many = [run_profile(f"rp-{number}", namespace=f"ns-{number % 50}") for number in range(2000)]
    with django_assert_max_num_queries(8):
        store_profiles([profile()], many)
    with django_assert_max_num_queries(8):
        saved = store_profiles(
            [profile()], [{**document, "value_tags": ["x"]} for document in many]
        )
    assert len(saved.run_profiles.changed) == 2000
    assert RunProfileRevision.objects.count() == 4000
