"""Where the files and the database differ, and the way back."""

import json
from pathlib import Path

import pytest

from orbit.models import Profile
from orbit.profiles import diff, reload
from orbit.profiles.diff import ABSENT, Difference
from orbit.profiles.files import ConfigInvalid, Documents
from tests.support.configuration import profile, run_profile, store, write


@pytest.fixture
def folder(tmp_path: Path, settings) -> Path:
    settings.ORBIT_CONFIG_DIR = tmp_path
    settings.ORBIT_DISPATCH_ENDPOINTS = "[]"
    write(tmp_path, [profile()], [run_profile()])
    return tmp_path


def between(left: dict[str, object], right: dict[str, object]) -> list[Difference]:
    return diff.between(Documents([profile(**left)], []), Documents([profile(**right)], []))


def test_documents_that_say_the_same_have_no_differences() -> None:
    assert between({"style_vector": {"a": 1, "b": [1, 2]}}, {"style_vector": {"b": [1, 2], "a": 1.0}}) == []


def test_a_difference_names_the_place_and_both_values() -> None:
    assert between({"style_vector": {"a/b": {"tone~": 1}}}, {"style_vector": {"a/b": {"tone~": 2}}}) == [
        Difference("profiles.json", "daily", "/style_vector/a~1b/tone~0", 1, 2)
    ]


def test_a_key_of_one_side_alone_is_absent_on_the_other_and_null_is_a_value() -> None:
    found = between({"style_vector": {"a": None}}, {"style_vector": {"b": 1}})
    assert found == [Difference("profiles.json", "daily", "/style_vector/a", None, ABSENT), Difference("profiles.json", "daily", "/style_vector/b", ABSENT, 1)]
    assert [one.as_json() for one in found] == [
        {"file": "profiles.json", "id": "daily", "pointer": "/style_vector/a", "in_files": None},
        {"file": "profiles.json", "id": "daily", "pointer": "/style_vector/b", "in_database": 1},
    ]


def test_lists_differ_item_by_item() -> None:
    assert [(one.pointer, one.in_files, one.in_database) for one in between({"value_tags": ["a", "b", "c"]}, {"value_tags": ["a", "x"]})] == [
        ("/value_tags/1", "b", "x"), ("/value_tags/2", "c", ABSENT)]  # fmt: skip


def test_one_and_true_are_different() -> None:
    assert [one.pointer for one in between({"style_vector": {"a": 1}}, {"style_vector": {"a": True}})] == ["/style_vector/a"]


def test_a_document_of_one_side_alone_is_one_difference() -> None:
    (found,) = diff.between(Documents([], [run_profile()]), Documents([], []))
    assert (found.file, found.id, found.pointer, found.in_files, found.in_database) == ("runProfiles.json", "daily-eu", "", run_profile(), ABSENT)


@pytest.mark.django_db
def test_after_a_load_nothing_differs_and_after_an_edit_the_edit_does(folder: Path) -> None:
    reload.load_at_start()
    assert diff.differences() == []
    store([profile(label="By hand")], [])
    assert diff.differences() == [Difference("profiles.json", "daily", "/label", "Daily", "By hand")]


@pytest.mark.django_db
def test_what_is_hidden_counts_as_absent(folder: Path) -> None:
    reload.load_at_start()
    write(folder, [profile()], [])
    reload.load_at_start()
    write(folder, [profile()], [run_profile()])
    assert [(one.id, one.in_database) for one in diff.differences()] == [("daily-eu", ABSENT)]


@pytest.mark.django_db
def test_differences_of_invalid_files_are_refused_with_their_errors(folder: Path) -> None:
    (folder / "profiles.json").write_text('[{"profile_id": 1}]')
    with pytest.raises(ConfigInvalid):
        diff.differences()


@pytest.mark.django_db
def test_an_export_makes_the_files_say_what_runs_and_nothing_differs_any_more(folder: Path) -> None:
    reload.load_at_start()
    store([profile(label="Täglich"), profile("another", style_vector={"tone": 0.7, "deep": {"z": 1, "a": [1.5, None]}})], [])
    diff.export(folder)
    assert diff.differences() == []
    assert [document["profile_id"] for document in json.loads((folder / "profiles.json").read_text("utf-8"))] == ["another", "daily"]
    assert "Täglich" in (folder / "profiles.json").read_text("utf-8")
    assert sorted(path.name for path in folder.iterdir()) == ["profiles.json", "runProfiles.json"]


@pytest.mark.django_db
def test_an_export_is_byte_stable(folder: Path) -> None:
    reload.load_at_start()
    store([profile(style_vector={"b": 1e-7, "a": 0.1, "c": 12345678901.5})], [])
    diff.export(folder)
    first = (folder / "profiles.json").read_bytes()
    Profile.objects.all().update(hidden=True)
    reload.apply_files(actor=reload.SYSTEM, reason="")
    diff.export(folder)
    assert (folder / "profiles.json").read_bytes() == first


@pytest.mark.django_db
def test_what_was_exported_counts_as_applied(folder: Path) -> None:
    reload.load_at_start()
    store([profile(label="By hand")], [])
    diff.export(folder)
    write(folder, [profile(label="By file, later")], [run_profile()])
    reload.load_at_start()
    assert Profile.objects.get().label == "By file, later"


@pytest.mark.django_db
def test_a_folder_that_is_not_there_leaves_the_applied_state_alone(folder: Path) -> None:
    reload.load_at_start()
    before = reload.AppliedFiles.objects.get().sha256
    store([profile(label="By hand")], [])
    with pytest.raises(FileNotFoundError):
        diff.export(folder / "nowhere")
    assert reload.AppliedFiles.objects.get().sha256 == before
