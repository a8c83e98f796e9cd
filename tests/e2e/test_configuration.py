"""The configuration in a real browser: edit, preview, conflict, roll-back, drift."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connection
from playwright.sync_api import expect

from governance.access.actors import SYSTEM
from governance.models import Namespace
from orbit.models import Profile, RunProfile
from orbit.profiles import edit
from orbit.profiles.expected import ANY
from orbit.profiles.kinds import PROFILE, RUN_PROFILE
from tests.e2e.conftest import Site
from tests.support.browser import visit
from tests.support.callers import create_user
from tests.support.configuration import profile, run_profile, write_profiles

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
#: Widths, and whether they are dark.
WINDOWS = [(1280, False), (1280, True), (390, False), (320, True)]


@pytest.fixture
def ids(site: Site) -> tuple[int, int]:
    """Add a configurator and a second revision; return the keys of profile and run profile."""
    create_user("con", "Configurator")
    edit.save(
        PROFILE,
        "p1",
        profile("p1", value_tags=["kit"]),
        actor=SYSTEM,
        source="api",
        expected=ANY,
        reason="tags",
    )
    keys = Profile.objects.get().pk, RunProfile.objects.get().pk
    connection.close()
    return keys


@pytest.mark.parametrize("scripts", [True, False])
def test_a_profile_is_previewed_saved_and_rolled_back(
    site: Site, ids: tuple[int, int], scripts: bool
) -> None:
    with visit(site.address, scripts=scripts) as console:
        console.enter("con")
        page = console.open("/admin/orbit/profile/")
        page.get_by_role("link", name="p1", exact=True).click()
        page.get_by_label("Label").fill("By hand")
        page.get_by_role("button", name="Preview").click()
        expect(
            page.get_by_role("heading", name="Instruction of the next cycle of r1")
        ).to_be_visible()
        page.get_by_role("textbox", name="Reason").fill("it reads better")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Revision 3 of p1 saved.")).to_be_visible()
        page.get_by_role("link", name="Revisions", exact=True).click()
        page.get_by_role("link", name="Roll back to this revision: 1").click()
        page.get_by_role("textbox", name="Reason").fill("as it was")
        page.get_by_role("button", name="Roll back to this revision").click()
        expect(
            page.get_by_text("p1 is rolled back to revision 1, saved as revision 4.")
        ).to_be_visible()
    assert site.api("/profiles/p1")["label"] == "P1"


def test_an_error_stands_at_its_field_and_who_saves_second_loses_nothing(
    site: Site, ids: tuple[int, int]
) -> None:
    with visit(site.address) as console:
        console.enter("con")
        page = console.open(f"/admin/orbit/runprofile/{ids[1]}/change/")
        page.get_by_label("Cron").fill("0 0 31 2 *")
        page.get_by_role("textbox", name="Reason").fill("each day")
        page.get_by_role("button", name="Save").click()
        summary = page.get_by_role("alert")
        expect(summary).to_be_focused()
        expect(summary.get_by_role("link", name="Cron")).to_have_attribute("href", "#id_cron")
        assert console.violations() == []
        page.get_by_label("Cron").fill("0 6 * * *")
        with ThreadPoolExecutor(1) as other:  # the browser has a loop of its own in this one
            other.submit(_save_elsewhere).result()
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("heading", name="Another user saved meanwhile")).to_be_visible()
        expect(page.get_by_label("Cron")).to_have_value("0 6 * * *")
        expect(page.get_by_role("alert")).to_contain_text("orbit saved revision 2")
        versions = page.get_by_role("region", name="Three versions")
        expect(versions.get_by_role("row")).to_have_count(3)
        assert console.violations() == []
        assert "cron" not in site.api("/run-profiles/r1").get("execution_policy", {})
        page.get_by_role("button", name="Combine both").click()
        expect(page.get_by_label("Endpoints")).to_have_value("aurora")
        expect(page.get_by_label("Cron")).to_have_value("0 6 * * *")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Revision 3 of r1 saved.")).to_be_visible()
        assert console.problems == []
    document = site.api("/run-profiles/r1")
    assert document["distribution_targets"] == ["aurora"]
    assert document["execution_policy"] == {"cron": "0 6 * * *"}


def test_the_server_checks_fields_and_json_while_one_types(
    site: Site, ids: tuple[int, int]
) -> None:
    with visit(site.address) as console:
        console.enter("con")
        page = console.open(f"/admin/orbit/runprofile/{ids[1]}/change/")
        page.get_by_label("Cron").press_sequentially("0 0 31 2 *")
        expect(page.locator("#id_cron_at")).to_have_text("Never fires: no such day.")
        expect(page.get_by_label("Cron")).to_be_focused()
        expect(page.locator("#checked")).to_contain_text("Not valid yet.")
        assert console.violations() == []
        page.get_by_label("Cron").fill("0 6 * * *")
        expect(page.locator("#checked")).to_have_text("Valid. Nothing is saved yet.")
        expect(page.locator("#id_cron_at")).to_be_empty()
        page.get_by_label("The whole document as JSON").fill('{"namespace": 1}')
        expect(page.locator("#checked")).to_contain_text("run_profile_id")
        assert console.problems == []
    assert site.api("/run-profiles/r1")["namespace"] == "eu"


def test_without_scripts_the_check_is_a_button(site: Site, ids: tuple[int, int]) -> None:
    with visit(site.address, scripts=False) as console:
        console.enter("con")
        page = console.open(f"/admin/orbit/runprofile/{ids[1]}/change/")
        page.get_by_label("Cron").fill("0 0 31 2 *")
        page.get_by_role("button", name="Check").click()
        expect(page.get_by_role("alert")).to_contain_text("Never fires: no such day.")


def _save_elsewhere() -> None:
    edit.save(
        RUN_PROFILE,
        "r1",
        {**run_profile("r1", "p1", "eu", distribution_targets=["aurora"])},
        actor=SYSTEM,
        source="api",
        expected=ANY,
    )
    connection.close()


def test_files_and_database_that_go_apart_are_shown_and_brought_together(
    site: Site, ids: tuple[int, int], settings
) -> None:
    write_profiles(
        Path(settings.ORBIT_CONFIG_DIR),
        [profile("p1", label="By file")],
        [run_profile("r1", "p1", "eu", distribution_targets=["aurora", "archive"])],
    )
    with visit(site.address) as console:
        console.enter("con")
        page = console.open("/admin/")
        expect(page.get_by_role("complementary", name="System state")).to_contain_text(
            "files and the database were both changed"
        )
        page.get_by_role("link", name="Config drift").first.click()
        expect(
            page.get_by_role("region", name="In both, but different").get_by_text("By file")
        ).to_be_visible()
        page.get_by_role("textbox", name="Reason").fill("release 12")
        page.get_by_role("button", name="Reload").click()
        expect(page.get_by_text("Files and database are the same.")).to_be_visible()
    assert site.api("/profiles/p1")["label"] == "By file"


@pytest.mark.timeout(600)  # the checker takes long on a busy machine
def test_every_page_is_accessible_and_no_wider_than_the_screen(
    site: Site, ids: tuple[int, int], settings
) -> None:
    write_profiles(
        Path(settings.ORBIT_CONFIG_DIR), [profile("p1", label="By file"), profile("p2")], []
    )
    namespace = Namespace.objects.get(name="eu").pk
    connection.close()
    of_profile, of_run = f"/admin/orbit/profile/{ids[0]}", f"/admin/orbit/runprofile/{ids[1]}"
    paths = [
        f"{of_profile}/change/",
        f"{of_run}/change/",
        "/admin/orbit/profile/add/",
        "/admin/orbit/runprofile/add/",
        f"{of_profile}/history/?a=1&b=2",
        f"{of_profile}/history/1/",
        f"{of_run}/disable/",
        "/admin/config/drift/",
        "/admin/orbit/valueledgerentry/",
        "/admin/orbit/profile/",
        "/admin/orbit/runprofile/",
        "/admin/orbit/schedules/",
        "/admin/governance/namespace/",
        f"/admin/governance/namespace/{namespace}/change/",
        "/admin/pause/",
    ]
    with visit(site.address) as console:
        console.enter("con")
        for path in paths:
            console.open(path)
            assert console.faults(WINDOWS) == []
