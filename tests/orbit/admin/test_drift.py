"""The drift page, and its banner."""

import json
from pathlib import Path

import pytest

from governance.access import actors
from governance.models import AuditTrailEntry
from orbit.models import Profile
from orbit.profiles import reload
from orbit_site.overview import facts
from tests.support.callers import console, create_user
from tests.support.configuration import (
    active_cycle,
    profile,
    run_profile,
    store_profiles,
    write_profiles,
)

pytestmark = pytest.mark.django_db
PATH = "/admin/config/drift/"
BANNER = "files and the database were both changed"


@pytest.fixture
def folder(tmp_path: Path, settings) -> Path:
    settings.ORBIT_CONFIG_DIR = tmp_path
    settings.ORBIT_DISPATCH_ENDPOINTS = "[]"
    write_profiles(tmp_path, [profile()], [run_profile()])
    reload.load_at_start()
    return tmp_path


def test_differences_are_shown_with_both_values_in_three_groups(folder: Path) -> None:
    browser = console(create_user("vic", "Viewer"))
    assert "<h1>Nothing drifted</h1>" in browser.get(PATH).content.decode()
    store_profiles([profile(label="<script>alert(1)</script>"), profile("by-hand")], [])
    write_profiles(folder, [profile(), profile("by-file")], [run_profile()])
    answer = browser.get(PATH)
    report = answer.context["report"]
    assert [
        [row.id for row in bucket]
        for bucket in (report.only_in_files, report.only_in_database, report.different)
    ] == [["by-file"], ["by-hand"], ["daily"]]
    page = answer.content.decode()
    assert "<h1>3 documents drifted</h1>" in page
    assert "Reload would create 1, change 1 and hide 1 document." in page
    assert "nothing blocks it" in page
    assert "<script>alert" not in answer.content.decode()
    assert "Reload</button>" not in answer.content.decode()
    assert browser.post(PATH, {"reason": "x", "_reload": "1"}).status_code == 403


def test_reload_and_export_bring_both_together_with_a_reason(folder: Path) -> None:
    browser = console(create_user("con", "Configurator"))
    store_profiles([profile(label="By hand")], [])
    assert browser.post(PATH, {"reason": " ", "_reload": "1"}).status_code == 200
    assert Profile.objects.get().label == "By hand"
    assert browser.post(PATH, {"reason": "as agreed", "_export": "1"}).status_code == 302
    assert json.loads((folder / "profiles.json").read_text())[0]["label"] == "By hand"
    write_profiles(folder, [profile(label="By file")], [run_profile()])
    assert browser.post(PATH, {"reason": "as agreed", "_reload": "1"}).status_code == 302
    assert Profile.objects.get().label == "By file"
    entries = AuditTrailEntry.objects.filter(actor="con").order_by("id")
    assert list(entries.values_list("action", "reason")) == [
        ("config.exported", "as agreed"),
        ("config.reloaded", "as agreed"),
    ]


def test_a_refused_reload_names_the_cycles(folder: Path) -> None:
    cycle = active_cycle("eu")
    browser = console(create_user("con", "Configurator"))
    # The dry run says so before, and the refusal after.
    for answer in (browser.get(PATH), browser.post(PATH, {"reason": "x", "_reload": "1"})):
        page = answer.content.decode()
        assert "Reload is blocked: 1 cycle is active" in page
        assert f"/admin/orbit/cyclerun/{cycle.pk}/cancel/" in page


def test_errors_of_the_files_are_shown_with_file_and_pointer(folder: Path) -> None:
    write_profiles(folder, [profile(more=1)], [run_profile()])
    browser = console(create_user("con", "Configurator"))
    page = browser.get(PATH).content.decode()
    assert "files are invalid" in page
    assert "/0/more" in page
    assert browser.post(PATH, {"reason": "x", "_reload": "1"}).status_code == 200


def test_a_confined_user_does_not_see_the_page(folder: Path) -> None:
    assert console(create_user("bea", "Configurator", "eu")).get(PATH).status_code == 403


def test_a_banner_is_shown_only_if_both_were_changed(
    folder: Path, django_assert_max_num_queries
) -> None:
    browser = console(create_user("vic", "Viewer"))

    def has_banner() -> bool:
        facts.read(actors.operator(), seconds=0)  # pages share what was read in the last seconds
        return BANNER in browser.get("/admin/").content.decode()

    assert not has_banner()
    store_profiles([profile(label="By hand")], [])
    assert not has_banner()
    write_profiles(folder, [profile(label="By file, and longer")], [run_profile()])
    assert has_banner()
    write_profiles(folder, [profile(label="By hand")], [run_profile()])
    assert not has_banner()
    (folder / "profiles.json").write_text("nonsense, and more of it than before")
    assert not has_banner()
    (folder / "profiles.json").unlink()
    assert not has_banner()
