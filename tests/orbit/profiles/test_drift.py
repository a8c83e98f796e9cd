"""Where the files and the database differ, and the way back."""

from pathlib import Path

import pytest

from governance.access.actors import SYSTEM
from governance.kernel.json_diff import ABSENT
from orbit.profiles import drift, reload
from orbit.profiles.drift import Difference
from orbit.profiles.files import ConfigInvalid, Documents
from tests.support.configuration import profile, run_profile, store_profiles, write_profiles


@pytest.fixture
def folder(tmp_path: Path, settings) -> Path:
    settings.ORBIT_CONFIG_DIR = tmp_path
    settings.ORBIT_DISPATCH_ENDPOINTS = "[]"
    write_profiles(tmp_path, [profile()], [run_profile()])
    return tmp_path


def between(left: dict[str, object], right: dict[str, object]) -> list[Difference]:
    return drift.between(Documents([profile(**left)], []), Documents([profile(**right)], []))


def test_equal_documents_have_no_differences() -> None:
    assert (
        between({"style_vector": {"a": 1, "b": [1, 2]}}, {"style_vector": {"b": [1, 2], "a": 1.0}})
        == []
    )


def test_a_difference_names_the_place_and_both_values() -> None:
    assert between(
        {"style_vector": {"a/b": {"tone~": 1}}}, {"style_vector": {"a/b": {"tone~": 2}}}
    ) == [Difference("profiles.json", "daily", "/style_vector/a~1b/tone~0", 1, 2)]


def test_a_key_of_one_side_alone_is_absent_on_the_other_and_null_is_a_value() -> None:
    differences = between({"style_vector": {"a": None}}, {"style_vector": {"b": 1}})
    assert differences == [
        Difference("profiles.json", "daily", "/style_vector/a", None, ABSENT),
        Difference("profiles.json", "daily", "/style_vector/b", ABSENT, 1),
    ]
    assert [difference.to_dict() for difference in differences] == [
        {"file": "profiles.json", "id": "daily", "pointer": "/style_vector/a", "in_files": None},
        {"file": "profiles.json", "id": "daily", "pointer": "/style_vector/b", "in_database": 1},
    ]


def test_lists_differ_item_by_item() -> None:
    assert [
        (difference.pointer, difference.in_files, difference.in_database)
        for difference in between({"value_tags": ["a", "b", "c"]}, {"value_tags": ["a", "x"]})
    ] == [("/value_tags/1", "b", "x"), ("/value_tags/2", "c", ABSENT)]


def test_one_and_true_are_different() -> None:
    assert [
        difference.pointer
        for difference in between({"style_vector": {"a": 1}}, {"style_vector": {"a": True}})
    ] == ["/style_vector/a"]


def test_a_document_of_one_side_alone_is_one_difference() -> None:
    (difference,) = drift.between(Documents([], [run_profile()]), Documents([], []))
    assert (
        difference.file,
        difference.id,
        difference.pointer,
        difference.in_files,
        difference.in_database,
    ) == (
        "runProfiles.json",
        "daily-eu",
        "",
        run_profile(),
        ABSENT,
    )


@pytest.mark.django_db
def test_after_a_load_nothing_differs_and_after_an_edit_the_edit_does(folder: Path) -> None:
    reload.load_at_start()
    assert drift.differences(actor=SYSTEM) == []
    store_profiles([profile(label="By hand")], [])
    assert drift.differences(actor=SYSTEM) == [
        Difference("profiles.json", "daily", "/label", "Daily", "By hand")
    ]


@pytest.mark.django_db
def test_a_hidden_document_counts_as_absent(folder: Path) -> None:
    reload.load_at_start()
    write_profiles(folder, [profile()], [])
    reload.load_at_start()
    write_profiles(folder, [profile()], [run_profile()])
    assert [
        (difference.id, difference.in_database) for difference in drift.differences(actor=SYSTEM)
    ] == [("daily-eu", ABSENT)]


@pytest.mark.django_db
def test_differences_of_invalid_files_are_refused_with_their_errors(folder: Path) -> None:
    (folder / "profiles.json").write_text('[{"profile_id": 1}]')
    with pytest.raises(ConfigInvalid):
        drift.differences(actor=SYSTEM)


def test_an_answer_is_bounded() -> None:
    differences = [
        Difference("profiles.json", f"p{number}", "", "x" * 1000, ABSENT) for number in range(600)
    ]
    assert len(drift.bounded(differences)) == 500
    assert 1 <= len(drift.bounded(differences, characters=5000)) <= 5
    assert drift.bounded([Difference("profiles.json", "p", "", "x" * 5000, ABSENT)], characters=10)
