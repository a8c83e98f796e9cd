"""The console in a real browser. ``visit`` fails on CSP reports, console errors and other hosts."""

import pytest
from django.db import connection
from playwright.sync_api import Page, expect

from telemetry.ingest import batch
from tests.e2e.conftest import Site
from tests.support.browser import PASSWORD, Visit, violations, visit

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
#: Widths, and whether they are dark.
WINDOWS = [(1280, False), (1280, True), (390, False)]


def _violations(page: Page) -> list[str]:
    return violations(page)


def test_a_cycles_page_says_first_what_happened_and_shows_foreign_text_as_text(site: Site) -> None:
    with visit(site.address) as console:
        console.enter("ann")
        page = console.open(f"/admin/orbit/cyclerun/{site.cycle}/change/")
        expect(page.locator("p#verdict")).to_have_text(
            "Partial success: 3 tiers; 3 of 6 deliveries done; 3 dead at archive (410). "
            "Nothing is tried again by itself."
        )
        page.get_by_role("link", name="Deliveries 3/6").click()
        expect(page.get_by_role("region", name="Deliveries").get_by_role("row")).to_have_count(7)
        page.get_by_role("link", name="Context").click()
        expect(page.get_by_text("<script>alert(2)</script>").first).to_be_visible()


def test_a_missing_cluster_stands_above_every_page(site: Site) -> None:
    with visit(site.address) as console:
        console.enter("ann")
        for path in (
            "/admin/",
            "/admin/orbit/cyclerun/",
            f"/admin/orbit/cyclerun/{site.cycle}/change/",
        ):
            page = console.open(path)
            expect(
                page.get_by_role("complementary", name="System state").get_by_role("status")
            ).to_contain_text("No cluster is running")


@pytest.mark.parametrize("scripts", [True, False])
def test_a_dead_letter_is_requeued_with_a_reason_with_and_without_scripts(
    site: Site, scripts: bool
) -> None:
    with visit(site.address, scripts=scripts) as console:
        console.enter("ann")
        page = console.open(f"/admin/orbit/deadletterdispatch/{site.letters[0]}/change/")
        page.get_by_role("link", name="Requeue").click()
        page.get_by_role("textbox", name="Reason").fill("Aurora is back")
        page.get_by_role("button", name="Requeue").click()
        expect(page.get_by_text("requeued as job")).to_be_visible()
    letter = site.api(f"/dead-letters/{site.letters[0]}")
    assert (letter["status"], letter["resolved_by"], letter["resolved_reason"]) == (
        "requeued",
        "ann",
        "Aurora is back",
    )


def test_a_selection_is_requeued_from_the_list(site: Site) -> None:
    with visit(site.address) as console:
        console.enter("ann")
        page = console.open("/admin/orbit/deadletterdispatch/")
        page.get_by_role("checkbox", name="all").check()
        page.get_by_role("button", name="Requeue").click()
        page.get_by_role("textbox", name="Reason").fill("all of them")
        page.get_by_role("button", name="Requeue").click()
        expect(page.get_by_text("takes 3 dead letters")).to_be_visible()
    (run,) = site.api("/operations")["results"]
    assert (run["type"], run["progress"]["total"]) == ("dlq.bulk_requeue", 3)


def test_all_letters_of_a_group_are_requeued_as_one_operation_that_can_be_cancelled(
    site: Site,
) -> None:
    with visit(site.address) as console:
        console.enter("ann")
        page = console.open("/admin/orbit/deadletterdispatch/")
        page.get_by_role("link", name="archive").click()
        page.get_by_role("link", name="Requeue all").click()
        page.get_by_role("textbox", name="Reason").fill("the archive is back")
        page.get_by_role("button", name="Requeue").click()
        expect(page.locator("body")).to_contain_text("dlq.bulk_requeue")
        (run,) = site.api("/operations")["results"]
        assert (run["status"], run["progress"]["total"]) == ("queued", 3)
        page.goto(f"{site.address}/admin/governance/operationrun/{run['id']}/change/")
        page.get_by_role("link", name="Cancel").click()
        page.get_by_role("textbox", name="Reason").fill("not now")
        page.get_by_role("button", name="Cancel").click()
        (run,) = site.api("/operations")["results"]
        assert (run["status"], run["outcome"]) == ("completed", "cancelled")


def test_a_cycle_is_triggered_and_cancelled_by_hand(site: Site) -> None:
    with visit(site.address) as console:
        console.enter("ann")
        page = console.open("/admin/orbit/cyclerun/")
        page.get_by_role("link", name="Trigger").click()
        page.get_by_label("Run profile").select_option("r1")
        page.get_by_role("textbox", name="Reason").fill("by hand")
        page.get_by_role("button", name="Trigger").click()
        expect(page.locator("p#verdict")).to_have_text("Pending: no worker has taken it yet.")
        page.get_by_role("link", name="Cancel").click()
        page.get_by_role("textbox", name="Reason").fill("changed my mind")
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("p#verdict")).to_contain_text("changed my mind")


@pytest.mark.timeout(600)  # the checker takes long on a busy machine
def test_every_page_is_accessible_and_no_wider_than_the_screen(site: Site) -> None:
    declares = {"artifacts_declared": ["out/junit.xml"]}
    start = batch.event("task_start", session_id="ci-17", task_id="build", metadata=declares)
    batch.store([start])
    connection.close()
    paths = [
        "/admin/",
        "/admin/telemetry/coverage/",
        "/admin/telemetry/telemetryevent/",
        "/admin/telemetry/errorgroup/",
        "/admin/telemetry/artifact/",
        "/admin/telemetry/metric/",
        "/admin/telemetry/policyviolation/",
        "/admin/telemetry/projection/",
        "/admin/telemetry/telemetryarchive/",
        "/admin/orbit/cyclerun/",
        f"/admin/orbit/cyclerun/{site.cycle}/change/",
        "/admin/orbit/cyclerun/trigger/",
        f"/admin/orbit/cyclerun/{site.cycle}/run_again/",
        f"/admin/orbit/cyclerun/compare/?a={site.cycle}&b={site.cycle}&all=1",
        "/admin/orbit/deadletterdispatch/",
        f"/admin/orbit/deadletterdispatch/{site.letters[0]}/requeue/",
        "/admin/orbit/executionrecord/",
        f"/admin/orbit/deadletterdispatch/{site.letters[0]}/dismiss/",
        "/admin/orbit/deadletterdispatch/requeue-matching/",
        "/admin/governance/operationrun/",
        "/admin/orbit/endpoints/",
        "/admin/governance/audittrailentry/",
        "/api/docs/plain",
    ]
    entry = site.api("/audit-trail")["results"][0]["id"]
    paths += [
        "/admin/governance/audittrailentry/verify/",
        f"/admin/governance/audittrailentry/{entry}/change/",
        "/admin/access/?user=ann",
        "/admin/access/tokens/new/",
        "/admin/password_change/",
        "/admin/governance/loginattempt/",
    ]
    with visit(site.address) as console:
        console.enter("adm")
        for path in paths:
            console.open(path)
            assert console.faults(WINDOWS) == []


def test_keys_lead_through_lists_and_open_the_halt_dialog(site: Site) -> None:
    with visit(site.address) as console:
        console.enter("ann")
        page = console.open("/admin/orbit/deadletterdispatch/?group=all&namespace=eu")
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("/")
        expect(page.get_by_role("searchbox", name="Search", exact=True)).to_be_focused()
        page.keyboard.type("h?")
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.get_by_role("searchbox", name="Search", exact=True).blur()
        page.keyboard.press("h")
        dialog = page.get_by_role("dialog", name="Halt a namespace")
        expect(dialog.get_by_role("textbox", name="Reason")).to_be_focused()
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        page.keyboard.press("g")
        page.keyboard.press("c")
        page.wait_for_url("**/admin/orbit/cyclerun/?namespace=eu")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/{site.cycle}/change/**")


def test_single_keys_can_be_switched_off(site: Site) -> None:
    with visit(site.address) as console:
        console.enter("ann")
        page = console.open("/admin/preferences/")
        page.get_by_role("checkbox", name="Single keys").uncheck()
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved in this browser")).to_be_visible()
        page.keyboard.press("h")
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_halt_shows_on_a_page_that_is_open(site: Site) -> None:
    with visit(site.address) as console:
        console.enter("ann")
        other = console.page.context.new_page()
        other.goto(f"{site.address}/admin/orbit/dispatchjob/")
        page = console.open("/admin/orbit/dispatchjob/?namespace=eu")
        page.get_by_role("button", name="Halt").click()
        dialog = page.get_by_role("dialog", name="Halt a namespace")
        dialog.get_by_role("textbox", name="Reason").fill("doubled orders")
        assert _violations(page) == []
        # The checker adds styles to the page, which the policy rightly refuses.
        console.problems.clear()
        dialog.get_by_role("button", name="Halt namespace").click()
        expect(other.get_by_role("status").filter(has_text="doubled orders")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_the_namespace_is_switched_and_halted_with_and_without_scripts(
    site: Site, scripts: bool
) -> None:
    with visit(site.address, scripts=scripts) as console:
        console.enter("ann")
        page = console.open("/admin/orbit/cyclerun/")
        page.get_by_role("button", name="Namespace").click()
        page.get_by_role("link", name="eu", exact=True).click()
        page.wait_for_url("**/admin/orbit/cyclerun/?namespace=eu")
        page.get_by_role("button", name="Halt").click()
        form = page.get_by_role("dialog" if scripts else "main")
        expect(form.get_by_role("combobox", name="Namespace")).to_have_value("eu")
        form.get_by_role("textbox", name="Reason").fill("by hand")
        form.get_by_role("button", name="Halt namespace").click()
        expect(page.get_by_role("status").filter(has_text="by hand")).to_be_visible()


def test_text_typed_before_a_log_out_comes_back_after_the_log_in(site: Site) -> None:
    with visit(site.address) as console:
        console.enter("ann")
        page = console.open("/admin/pause/")
        page.get_by_role("textbox", name="Reason").fill("receiver doubles orders")
        page.context.clear_cookies(name="sessionid")
        page.get_by_role("button", name="Pause everything").click()
        expect(page.get_by_text("nothing was saved")).to_be_visible()
        page.get_by_label("Username").fill("ann")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("textbox", name="Reason")).to_have_value("receiver doubles orders")
        expect(page.get_by_text("What you typed before is back")).to_be_visible()


def test_the_chain_is_verified_from_the_list(site: Site) -> None:
    with visit(site.address, scripts=False) as console:
        console.enter("ann")
        page = console.open("/admin/governance/audittrailentry/")
        page.get_by_role("link", name="Verify the chain").click()
        expect(page.locator("p#verdict")).to_contain_text("The chain is intact")
        page.get_by_role("button", name="Verify the chain").click()
        expect(page.locator("p#verdict")).to_contain_text("The chain is intact")


def test_a_token_is_made_and_shown_once(site: Site) -> None:
    with visit(site.address) as console:
        console.enter("adm")
        page = console.open("/admin/access/")
        page.get_by_role("link", name="Create a token").click()
        page.get_by_role("textbox", name="Owner").fill("ann")
        page.get_by_role("checkbox", name="read").check()
        page.get_by_role("textbox", name="Reason").fill("for the night")
        page.get_by_role("button", name="Create token").click()
        expect(page.locator(".errorlist")).to_contain_text("Choose namespaces, or tick")
        page.get_by_role("checkbox", name="All namespaces of its owner").check()
        page.get_by_role("button", name="Create token").click()
        assert page.get_by_label("Token", exact=True).input_value().startswith("orbit_")


def test_somebody_with_a_wrong_password_stays_outside(site: Site) -> None:
    with visit(site.address) as console:
        _try(console, "ann", "wrong-password-1")
        expect(
            console.page.get_by_text("Please enter the correct username and password")
        ).to_be_visible()


def _try(console: Visit, name: str, password: str) -> None:
    page = console.open("/admin/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
