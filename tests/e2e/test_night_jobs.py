"""J1 to J21: each job of the console within its clicks, from the dashboard. J22 is in S25.

The run ends with their table. Nothing here is halted, paused or changed that another job needs.
"""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import NightSite
from tests.support.browser import Visit, chromium

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(170)]
Job = Callable[[Visit, NightSite], None]
#: Job -> what it is, its most clicks, the user, and how it is done.
JOBS: dict[str, tuple[str, int, str, Job]] = {}


def _job(number: int, title: str, most: int, user: str = "ann") -> Callable[[Job], Job]:
    def register(job: Job) -> Job:
        JOBS[f"J{number}"] = (title, most, user, job)
        return job

    return register


def _main(page: Page) -> Locator:
    return page.get_by_role("main")


def _menu(visit: Visit, title: str) -> None:
    menu = visit.page.get_by_role("navigation", name="Main")
    visit.click(menu.get_by_role("link", name=re.compile(rf"^{title}\b")))


def _link(visit: Visit, name: str) -> None:
    visit.click(_main(visit.page).get_by_role("link", name=re.compile(name)).first)


def _button(visit: Visit, name: str) -> None:
    visit.click(_main(visit.page).get_by_role("button", name=name, exact=True).first)


def _reason(page: Page) -> None:
    _main(page).get_by_role("textbox", name="Reason").fill("it has to be now")


@_job(1, "Why is the cycle partial?", 1)
def why(visit: Visit, site: NightSite) -> None:
    _link(visit, "daily-eu")
    expect(visit.page.locator("p#verdict")).to_contain_text("4 of 6")


@_job(2, "Halt a namespace", 2)
def halt(visit: Visit, site: NightSite) -> None:
    visit.press("h")
    dialog = visit.page.get_by_role("dialog")
    dialog.get_by_role("combobox", name="Namespace").fill("default")
    dialog.get_by_role("textbox", name="Reason").fill("it has to be now")
    visit.press("Enter")
    expect(visit.page.get_by_role("complementary", name="System state")).to_contain_text(
        "default is halt"
    )


@_job(3, "Pause everything", 2)
def pause(visit: Visit, site: NightSite) -> None:
    _menu(visit, "Pause")
    _reason(visit.page)
    _button(visit, "Pause everything")
    state = visit.page.get_by_role("complementary", name="System state")
    expect(state).to_contain_text("Everything is paused")
    clicks = visit.clicks
    visit.open("/admin/pause/")
    _reason(visit.page)
    _button(visit, "End pause")
    expect(state).not_to_contain_text("Everything is paused")
    visit.clicks = clicks


@_job(4, "Resume, knowing what it starts", 3)
def resume(visit: Visit, site: NightSite) -> None:
    state = visit.page.get_by_role("complementary", name="System state")
    visit.click(state.get_by_role("status").filter(has_text="apac").get_by_role("link"))
    expect(_main(visit.page)).to_contain_text("Cycles that continue")
    _reason(visit.page)
    _button(visit, "Resume")
    expect(state).not_to_contain_text("apac is")


@_job(5, "Requeue 300 dead letters", 4)
def requeue(visit: Visit, site: NightSite) -> None:
    page = visit.page
    _link(visit, "dead at aurora")
    visit.click(page.get_by_role("checkbox", name=re.compile("all", re.IGNORECASE)).first)
    _button(visit, "Requeue")
    _reason(page)
    page.get_by_role("spinbutton", name="Number of letters").fill("300")
    _button(visit, "Requeue")
    expect(_main(page)).to_contain_text("dlq.bulk_requeue")


@_job(6, "Decide on a proposal", 2, "rae")
def decide(visit: Visit, site: NightSite) -> None:
    _link(visit, "Retry tier 3")
    expect(_main(visit.page)).to_contain_text("max_attempts")
    _reason(visit.page)
    _button(visit, "Reject")
    expect(visit.page.locator("body")).to_contain_text(re.compile("rejected", re.IGNORECASE))


@_job(7, "Edit a profile", 3, "cas")
def edit(visit: Visit, site: NightSite) -> None:
    page = visit.page
    _menu(visit, "Profiles")
    _link(visit, "^weekly$")
    page.get_by_role("textbox", name="Label", exact=True).fill("Each week")
    # It is checked as one types. (Preview is one click more.)
    expect(_main(page)).to_contain_text("Valid. Nothing is saved yet.")
    _reason(page)
    _button(visit, "Save")
    expect(page.locator("body")).to_contain_text(re.compile("evision [34]"))


@_job(8, "Undo a change of a profile", 3, "cas")
def undo(visit: Visit, site: NightSite) -> None:
    page = visit.page
    _menu(visit, "Profiles")
    _link(visit, r"^Undo revision \d of weekly")
    expect(_main(page)).to_contain_text("/label")
    _reason(page)
    _button(visit, "Roll back to this revision")
    expect(page.locator("body")).to_contain_text(re.compile("evision [34]"))


@_job(9, "Who did what: filter, export, verify", 4, "vic")
def audit(visit: Visit, site: NightSite) -> None:
    page = visit.page
    _menu(visit, "Audit trail")
    page.get_by_role("textbox", name="Actor").fill("ann")
    _button(visit, "Search")
    expect(_main(page).get_by_role("cell", name="namespace.halted").first).to_be_visible()
    with page.expect_download() as download:
        _link(visit, "^Export")
    assert '"head"' in download.value.path().read_text()
    _link(visit, "^Verify the chain")
    expect(page.locator("p#verdict")).to_contain_text("intact")


@_job(10, "Is the scheduler alive, what runs next?", 0)
def scheduler(visit: Visit, site: NightSite) -> None:
    expect(_main(visit.page).get_by_role("region", name=re.compile("^Next runs"))).to_be_visible()
    expect(_main(visit.page)).to_contain_text("No cluster is running")


@_job(11, "Every delivery of a payload", 1, "vic")
def find(visit: Visit, site: NightSite) -> None:
    search = visit.page.get_by_role("searchbox", name="Search").first
    search.fill(site.night.partial)
    visit.press("Enter")
    expect(_main(visit.page)).to_contain_text(site.night.partial)


@_job(12, "What changed since it worked?", 3)
def compare(visit: Visit, site: NightSite) -> None:
    _link(visit, "daily-eu")
    _link(visit, "^Compare with the last success")
    expect(_main(visit.page)).to_contain_text("503")


@_job(13, "Is it us, or Aurora?", 1)
def endpoint(visit: Visit, site: NightSite) -> None:
    _link(visit, "^aurora$")
    expect(_main(visit.page)).to_contain_text("Delivered, 1 h")


@_job(14, "Is it stuck, or slow?", 1)
def stuck(visit: Visit, site: NightSite) -> None:
    visit.click(_main(visit.page).get_by_role("region", name="Active cycles").get_by_role("link"))
    expect(_main(visit.page)).to_contain_text(re.compile("halted|worker"))


@_job(15, "Run now", 2)
def run(visit: Visit, site: NightSite) -> None:
    page = visit.page
    _menu(visit, "Run now")
    _main(page).get_by_role("combobox", name="Run profile").select_option("daily-us")
    _reason(page)
    _button(visit, "Trigger")
    expect(page.locator("p#verdict")).to_be_visible()


@_job(16, "Where is my bulk job?", 1)
def operations(visit: Visit, site: NightSite) -> None:
    _link(visit, r"^\d+ running$")
    expect(_main(visit.page).get_by_role("heading", level=1)).to_have_text("Operations")


@_job(17, "Files against the database; reload", 2, "cas")
def drift(visit: Visit, site: NightSite) -> None:
    _menu(visit, "Drift")
    expect(_main(visit.page)).to_contain_text("/label")
    _reason(visit.page)
    _button(visit, "Reload")
    expect(visit.page.locator("body")).to_contain_text(re.compile("blocked|reloaded|active"))


@_job(18, "The last 14 days", 1, "vic")
def days(visit: Visit, site: NightSite) -> None:
    expect(
        _main(visit.page).get_by_role("region", name=re.compile("Fourteen days"))
    ).to_be_visible()
    _menu(visit, "Value")
    expect(_main(visit.page)).to_contain_text("kit")


@_job(19, "Revoke a token", 3, "adm")
def revoke(visit: Visit, site: NightSite) -> None:
    _menu(visit, "Access")
    _link(visit, "^Revoke orbit_")
    _reason(visit.page)
    _button(visit, "Revoke")
    expect(visit.page.locator("body")).to_contain_text(re.compile("revoked", re.IGNORECASE))


@_job(20, "Can the read model be trusted?", 1, "vic")
def read_model(visit: Visit, site: NightSite) -> None:
    _menu(visit, "System")
    for name in ("Task projection", "Retention", "Partitions"):
        expect(_main(visit.page).get_by_role("row", name=name)).to_be_visible()
    expect(_main(visit.page)).to_contain_text("reconcile")


@_job(21, "Handover of a shift", 2)
def handover(visit: Visit, site: NightSite) -> None:
    _menu(visit, "Handover")
    expect(_main(visit.page)).to_contain_text("8 hours")
    expect(_main(visit.page).get_by_role("link", name="Link to this page")).to_be_visible()


@pytest.mark.parametrize("job", JOBS)
def test_a_job_is_done_within_its_clicks(
    shared_night: NightSite, job: str, record_property: Callable[[str, object], None]
) -> None:
    title, most, user, do = JOBS[job]
    with chromium(shared_night.address) as browser:
        visit = browser.visit(user)
        do(visit, shared_night)
        record_property("job", f"{job:4} {visit.clicks} of {most}  {title}")
        assert visit.clicks <= most
