"""The database written into the files."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance import audit
from governance.access.actors import SYSTEM, NotAllowed
from governance.models import AuditTrailEntry
from orbit.models import AppliedFiles, Profile
from orbit.profiles import drift, export, reload, revisions, schema
from tests.support.callers import actor_of, create_user
from tests.support.configuration import profile, run_profile, store_profiles, write_profiles

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path, settings) -> Path:
    settings.ORBIT_CONFIG_DIR = tmp_path
    settings.ORBIT_DISPATCH_ENDPOINTS = "[]"
    write_profiles(tmp_path, [profile()], [run_profile()])
    return tmp_path


def test_after_an_export_the_files_equal_the_database(folder: Path) -> None:
    reload.load_at_start()
    store_profiles(
        [
            profile(label="Täglich"),
            profile("another", style_vector={"tone": 0.7, "deep": {"z": 1, "a": [1.5, None]}}),
        ],
        [],
    )
    export.export(folder, actor=SYSTEM)
    assert drift.differences(actor=SYSTEM) == []
    assert [
        document["profile_id"]
        for document in json.loads((folder / "profiles.json").read_text("utf-8"))
    ] == ["another", "daily"]
    assert "Täglich" in (folder / "profiles.json").read_text("utf-8")
    assert sorted(path.name for path in folder.iterdir()) == ["profiles.json", "runProfiles.json"]


def test_an_export_is_byte_stable(folder: Path) -> None:
    reload.load_at_start()
    store_profiles([profile(style_vector={"b": 1e-7, "a": 0.1, "c": 12345678901.5})], [])
    export.export(folder, actor=SYSTEM)
    first = (folder / "profiles.json").read_bytes()
    Profile.objects.all().update(hidden=True)
    reload.apply_files(actor=reload.SYSTEM, reason="")
    export.export(folder, actor=SYSTEM)
    assert (folder / "profiles.json").read_bytes() == first


def test_an_exported_document_counts_as_applied(folder: Path) -> None:
    reload.load_at_start()
    store_profiles([profile(label="By hand")], [])
    export.export(folder, actor=SYSTEM)
    write_profiles(folder, [profile(label="By file, later")], [run_profile()])
    reload.load_at_start()
    assert Profile.objects.get().label == "By file, later"


def test_a_missing_folder_leaves_the_applied_state_unchanged(folder: Path) -> None:
    reload.load_at_start()
    before = AppliedFiles.objects.get().sha256
    store_profiles([profile(label="By hand")], [])
    with pytest.raises(export.NotWritable):
        export.export(folder / "nowhere", actor=SYSTEM)
    assert AppliedFiles.objects.get().sha256 == before


def test_a_database_that_was_never_loaded_empties_no_files(folder: Path) -> None:
    before = (folder / "profiles.json").read_bytes()
    with pytest.raises(export.NothingToExport):
        export.export(folder, actor=SYSTEM)
    assert (folder / "profiles.json").read_bytes() == before


def test_an_export_is_audited_and_refused_to_confined_users(folder: Path) -> None:
    reload.load_at_start()
    export.export(folder, actor=SYSTEM, reason="as agreed")
    entry = AuditTrailEntry.objects.get(action="config.exported")
    assert (entry.reason, entry.after["profiles"], entry.after["run_profiles"]) == (
        "as agreed",
        1,
        1,
    )
    for actor in (
        actor_of(create_user("vic", "Viewer")),
        actor_of(create_user("con", "Configurator", "eu")),
    ):
        with pytest.raises(NotAllowed):
            export.export(folder, actor=actor)


@pytest.mark.parametrize("nth", [1, 2])
def test_an_export_that_is_killed_between_the_files_leaves_a_drift_that_shows(
    folder: Path, monkeypatch, nth: int
) -> None:
    reload.load_at_start()
    # Both files were changed. An export, which would undo that, is killed before it replaces the
    # ``nth`` file.
    write_profiles(folder, [profile(label="By file")], [run_profile(value_tags=["by-file"])])
    written_files: list[Path] = []

    class Killed(BaseException):
        pass

    def replace(self: Path, target: Path) -> Path:
        written_files.append(target)
        if len(written_files) == nth:
            raise Killed
        return self.rename(target)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Path, "replace", replace)
        export.export(folder, actor=SYSTEM)
    assert "export" in AppliedFiles.objects.get().sha256
    reload.load_at_start()
    assert Profile.objects.get().label == "Daily"
    assert Profile.objects.get().revision == 1
    assert [(document.file, document.pointer) for document in drift.differences(actor=SYSTEM)][
        -1
    ] == (
        "runProfiles.json",
        "/value_tags",
    )
    assert drift.both_changed(AppliedFiles.objects.get().sha256)
    export.export(folder, actor=SYSTEM)
    assert drift.differences(actor=SYSTEM) == []
    assert not drift.both_changed(AppliedFiles.objects.get().sha256)


def test_an_export_that_a_reload_overtakes_writes_nothing(folder: Path, monkeypatch) -> None:
    reload.load_at_start()
    store_profiles([profile(label="By hand")], [])
    before = (folder / "profiles.json").read_bytes()
    lock, notes = revisions.lock, []

    def overtaken() -> str:
        notes.append(lock())
        if len(notes) == 2:
            reload.remember("0" * 64)
            return "0" * 64
        return notes[-1]

    monkeypatch.setattr(revisions, "lock", overtaken)
    with pytest.raises(export.Overtaken):
        export.export(folder, actor=SYSTEM)
    assert (folder / "profiles.json").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["profiles.json", "runProfiles.json"]


# Any text except NUL and lone surrogates, often an odd one: right to left, combining, non-BMP.
ODD = st.sampled_from(["\u202eabc", "e\u0301", "\U0001f680", "\u2028", "</script>", "\\"])
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12) | ODD
NUMBER = st.integers(1 - 2**53, 2**53 - 1) | st.floats(
    allow_nan=False, allow_infinity=False, min_value=-(2.0**53), max_value=2.0**53
)
SCALAR = st.none() | st.booleans() | NUMBER | TEXT
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
FREE = st.dictionaries(TEXT, VALUE, max_size=5)
TAG = TEXT.filter(
    lambda text: (
        text.strip()
        and not re.search(
            "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]", text
        )
    )
)
ID = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,20}\Z")


@st.composite
def documents(draw: Any) -> tuple[list[Any], list[Any]]:
    ids = draw(st.lists(ID, min_size=1, max_size=4, unique=True))
    profiles = [
        {
            "profile_id": name,
            "label": draw(TAG),
            "state": draw(st.sampled_from(["enabled", "disabled"])),
            "style_vector": draw(FREE),
            "distribution_map": draw(FREE),
            "value_tags": draw(st.lists(TAG, max_size=3, unique=True)),
        }
        for name in ids
    ]
    run_profiles = [
        {
            "run_profile_id": name,
            "profile_id": draw(st.sampled_from(ids)),
            "namespace": draw(ID),
            "state": "enabled",
            "asset_bundle": draw(FREE),
        }
        for name in draw(st.lists(ID, max_size=4, unique=True))
    ]
    return profiles, run_profiles


def shuffled(value: Any, rng: Any) -> Any:
    """Return ``value`` with the keys of its objects in another order."""
    if isinstance(value, dict):
        keys = list(value)
        rng.shuffle(keys)
        return {key: shuffled(value[key], rng) for key in keys}
    return [shuffled(item, rng) for item in value] if isinstance(value, list) else value


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
@given(documents(), st.randoms(use_true_random=False))
def test_export_reload_export_gives_the_same_bytes(
    folder: Path, both_lists: tuple[list[Any], list[Any]], rng: Any
) -> None:
    with transaction.atomic():
        check_stable(folder, *both_lists, rng)


def check_stable(folder: Path, profiles: list[Any], run_profiles: list[Any], rng: Any) -> None:
    assert (
        schema.check(
            profiles, run_profiles, endpoints=None, transformers={}, processors=["passthrough"]
        )
        == []
    )

    def bytes_of() -> tuple[bytes, bytes]:
        export.export(folder, actor=SYSTEM)
        return (folder / "profiles.json").read_bytes(), (folder / "runProfiles.json").read_bytes()

    with audit.transaction():
        revisions.save(
            profiles=shuffled(profiles, rng),
            run_profiles=run_profiles,
            source="admin",
            actor=SYSTEM,
        )
        revisions.hide_others(
            profiles=[document["profile_id"] for document in profiles],
            run_profiles=[document["run_profile_id"] for document in run_profiles],
        )
    first = bytes_of()
    numbers = list(Profile.objects.order_by("profile_id").values_list("profile_id", "revision"))
    assert drift.differences(actor=SYSTEM) == []
    reload.apply_files(actor=SYSTEM, reason="the same again")
    assert bytes_of() == first
    assert (
        list(Profile.objects.order_by("profile_id").values_list("profile_id", "revision"))
        == numbers
    )
    # It is the same configuration in another order, and after the database was emptied.
    write_profiles(
        folder, shuffled(json.loads(first[0]), rng)[::-1], shuffled(json.loads(first[1]), rng)
    )
    with audit.transaction():
        revisions.hide_others(profiles=[], run_profiles=[])
    reload.apply_files(actor=SYSTEM, reason="from nothing")
    assert bytes_of() == first


@pytest.mark.parametrize("name", ["profiles.json", "runProfiles.json"])
def test_a_symbolic_link_in_place_of_a_file_is_refused_and_what_it_leads_to_stays(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    reload.load_at_start()
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "shared.json"
    elsewhere.write_bytes((folder / name).read_bytes())
    (folder / name).unlink()
    (folder / name).symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    store_profiles([profile(label="By hand")], [])
    with pytest.raises(export.NotWritable, match=f"{name} is a symbolic link"):
        export.export(folder, actor=SYSTEM)
    assert elsewhere.read_bytes() == before
    assert (folder / name).is_symlink()
    assert sorted(path.name for path in folder.iterdir()) == ["profiles.json", "runProfiles.json"]
    assert drift.differences(actor=SYSTEM) != []


def test_an_export_keeps_the_mode_of_the_files_and_follows_a_link_of_the_folder(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    reload.load_at_start()
    (folder / "profiles.json").chmod(0o640)
    link = tmp_path_factory.mktemp("elsewhere") / "config"
    link.symlink_to(folder)
    store_profiles([profile(label="By hand")], [])
    export.export(link, actor=SYSTEM)
    assert (folder / "profiles.json").stat().st_mode & 0o777 == 0o640
    assert "By hand" in (folder / "profiles.json").read_text("utf-8")
