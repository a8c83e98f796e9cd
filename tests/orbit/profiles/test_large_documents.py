"""Large documents are worked on outside of transactions; the watch over them fails these tests."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from governance.access.actors import SYSTEM
from orbit.cycles import trigger
from orbit.models import CycleRun, Profile
from orbit.profiles import edit, export, reload, revisions
from orbit.profiles.expected import ANY
from orbit.profiles.kinds import PROFILE, RUN_PROFILE
from orbit.states import ProfileState, Trigger
from tests.support.callers import api, console, create_user
from tests.support.configuration import profile, run_profile, store_profiles, write_profiles

#: 250 KB of numbers that the fast canonical form doesn't know.
BULK = {f"k{i:05d}": [[i + j, j / 7, 1e-7, f"v{j}"] for j in range(12)] for i in range(520)}


def large(profile_id: str = "daily", **members: Any) -> dict[str, Any]:
    return profile(profile_id, style_vector=BULK, **members)


@pytest.mark.django_db
def test_an_edit() -> None:
    store_profiles([large()], [])
    saved = edit.save(
        PROFILE, "daily", large(label="Other"), actor=SYSTEM, source="api", expected=ANY
    )
    assert saved.revision == 2


@pytest.mark.django_db
def test_enabling_and_disabling() -> None:
    store_profiles([large()], [])
    for state in (ProfileState.DISABLED, ProfileState.ENABLED):
        edit.set_state(PROFILE, "daily", state, actor=SYSTEM, source="admin", reason="r")
    assert Profile.objects.get().revision == 3


@pytest.mark.django_db
def test_an_edit_between_the_check_and_the_lock_is_checked_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store_profiles([profile()], [run_profile("r", state="disabled")])
    lock, edits = revisions.lock, iter([1])

    def edit_and_lock() -> str:
        if next(edits, None):
            store_profiles([], [run_profile("r", state="disabled", asset_bundle={"n": 7})])
        return lock()

    monkeypatch.setattr(revisions, "lock", edit_and_lock)
    edit.set_state(RUN_PROFILE, "r", ProfileState.ENABLED, actor=SYSTEM, source="admin", reason="r")
    saved = revisions.current().run_profiles[0]
    assert (saved["state"], saved["asset_bundle"]) == ("enabled", {"n": 7})


@pytest.mark.django_db
def test_a_trigger_with_and_without_a_key() -> None:
    store_profiles([large()], [run_profile("a"), run_profile("b", namespace="us")])
    client = api(create_user())
    for name, headers in (("a", {}), ("b", {"Idempotency_Key": "k"})):
        answer = client.post("/cycles/trigger", {"run_profile_id": name}, **headers)
        assert answer.status_code == 202


@pytest.mark.django_db
def test_a_trigger_runs_on_an_edit_that_came_after_the_reading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store_profiles([profile()], [run_profile("a")])
    ahead = trigger.read_ahead("a", actor=SYSTEM)
    store_profiles([profile(style_vector={"tone": 9})], [])
    trigger.start(
        namespace=None, source=Trigger.REST, actor=SYSTEM, run_profile_id="a", ahead=ahead
    )
    cycle = CycleRun.objects.get()
    assert (cycle.profile_revision, cycle.context["style_vector"]) == (2, {"tone": 9})


def test_loading_reloading_and_exporting(
    committed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "ORBIT_CONFIG_DIR", str(tmp_path))
    names = [f"p{number}" for number in range(8)]
    write_profiles(tmp_path, [large(name) for name in names], [])
    reload.load_at_start()
    assert Profile.objects.count() == 8
    write_profiles(tmp_path, [large(name, label="Other") for name in names], [])
    summary = reload.apply_files(actor=SYSTEM, reason="r")
    assert len(summary.changed) == 8
    assert list(summary.changed) == sorted(summary.changed)
    assert len(export.export(tmp_path, actor=SYSTEM)) == 2


@pytest.mark.django_db
def test_an_edit_during_an_export_refuses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_profiles([profile()], [])
    lock = revisions.lock

    def edit_and_lock() -> str:
        monkeypatch.undo()
        store_profiles([profile(label="Other")], [])
        return lock()

    monkeypatch.setattr(revisions, "lock", edit_and_lock)
    with pytest.raises(export.Overtaken):
        export.export(tmp_path, actor=SYSTEM)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.django_db
def test_the_console_pages_of_a_large_profile() -> None:
    store_profiles([large()], [run_profile("a")])
    browser = console(create_user("ann", "Administrator"))
    row = Profile.objects.get()
    assert browser.get(f"/admin/orbit/profile/{row.pk}/change/").status_code == 200
