"""S6 to S10, S12, S13: reviewers, configurators, auditors, support."""

import hashlib
import json
import re
from pathlib import Path

import pytest
import rfc8785
from playwright.sync_api import Page, expect

from advisory.models import StrategyProposal
from governance.models import AuditTrailEntry
from orbit.models import DispatchJob, Profile, ProfileRevision
from tests.e2e.conftest import NightSite
from tests.support.browser import chromium

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]


def _proposal(proposal_id: str) -> str:
    return f"/admin/advisory/strategyproposal/{proposal_id}/change/"


def _reason(page: Page, text: str) -> None:
    page.get_by_role("textbox", name="Reason").fill(text)


@pytest.mark.parametrize("scripts", [True, False])
def test_s6_a_reviewer_approves_what_they_read(night: NightSite, scripts: bool) -> None:
    daily = Profile.objects.get(profile_id="daily")
    with chromium(night.address) as browser:
        console = browser.visit("rae", scripts=scripts)
        page = console.page
        console.click(page.get_by_role("main").get_by_role("link", name=re.compile("Retry tier 3")))
        expect(page.get_by_role("main")).to_contain_text("max_attempts")
        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_role("button", name="Approve")).to_be_visible()  # without a reason
        _reason(page, "the backtest convinces me")
        console.click(page.get_by_role("button", name="Approve"))
        expect(page.locator("body")).to_contain_text(re.compile("approved", re.IGNORECASE))
        assert console.clicks <= 2
    after = Profile.objects.get(profile_id="daily")
    tier = after.document["execution_rules"]["tiers"]["3"]
    assert (after.revision, tier["max_attempts"], tier["backoff_base"]) == (
        daily.revision + 1,
        6,
        2,
    )
    assert AuditTrailEntry.objects.filter(actor="rae", reason="the backtest convinces me").exists()


def test_s7_ones_own_proposal_has_no_buttons_and_a_stale_one_changes_nothing(
    night: NightSite,
) -> None:
    weekly = Profile.objects.get(profile_id="weekly").revision
    with chromium(night.address) as browser:
        console = browser.visit("rae")
        page = console.open(_proposal(night.night.own_proposal))
        expect(page.get_by_role("button", name="Approve")).to_have_count(0)
        expect(page.get_by_role("main")).to_contain_text(
            re.compile("your own|You proposed|own proposal")
        )
        page = console.open(_proposal(night.night.stale_proposal))
        expect(page.get_by_role("main")).to_contain_text(re.compile("superseded", re.IGNORECASE))
        expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    assert Profile.objects.get(profile_id="weekly").revision == weekly


def test_s7_the_second_reviewer_is_told_who_decided(night: NightSite) -> None:
    with chromium(night.address) as browser:
        first, second = (browser.visit(name) for name in ("rae", "ray"))
        for visit in (first, second):
            visit.open(_proposal(night.night.open_proposal))
            _reason(visit.page, "I have read it")
        first.page.get_by_role("button", name="Approve").click()
        expect(first.page.locator("body")).to_contain_text(re.compile("approved", re.IGNORECASE))
        second.page.get_by_role("button", name="Reject").click()
        expect(second.page.locator("body")).to_contain_text("rae")
        second.expected(r"status of 409")
    assert StrategyProposal.objects.get(pk=night.night.open_proposal).state == "approved"


def test_s8_a_form_keeps_what_was_typed_through_an_error_and_a_conflict(night: NightSite) -> None:
    weekly = Profile.objects.get(profile_id="weekly")
    address = f"/admin/orbit/profile/{weekly.pk}/change/"
    with chromium(night.address) as browser:
        mine, other = browser.visit("cas"), browser.visit("adm")
        mine.open(address)
        other.open(address)
        for visit, text in ((other, "Weekly, theirs"), (mine, "Weekly, mine")):
            visit.page.get_by_role("textbox", name="Label", exact=True).fill(text)
            _reason(visit.page, "a better name")
            visit.page.get_by_role("button", name="Save", exact=True).click()
        expect(other.page.locator("body")).to_contain_text("evision 3")
        expect(mine.page.get_by_role("textbox", name="Label", exact=True)).to_have_value(
            "Weekly, mine"
        )
        expect(mine.page.locator("body")).to_contain_text("Weekly, theirs")
    weekly.refresh_from_db()
    assert (weekly.revision, weekly.label) == (3, "Weekly, theirs")


def test_s9_a_roll_back_makes_a_new_revision_with_the_old_bytes(night: NightSite) -> None:
    weekly = Profile.objects.get(profile_id="weekly")
    with chromium(night.address) as browser:
        console = browser.visit("cas")
        page = console.open(f"/admin/orbit/profile/{weekly.pk}/history/")
        console.click(page.get_by_role("link", name=re.compile("Roll back to this revision")).first)
        _reason(page, "the old name was better")
        console.click(page.get_by_role("button", name=re.compile("Roll back to this revision")))
        expect(page.locator("body")).to_contain_text(re.compile("evision 3"))
        assert console.clicks <= 3
    first, third = (
        ProfileRevision.objects.get(profile_id=weekly.pk, number=number) for number in (1, 3)
    )
    assert first.document == third.document


@pytest.mark.parametrize("scripts", [True, False])
def test_s10_the_chain_is_intact_until_a_row_is_changed(night: NightSite, scripts: bool) -> None:
    with chromium(night.address) as browser:
        console = browser.visit("vic", scripts=scripts)
        page = console.open("/admin/governance/audittrailentry/")
        with page.expect_download() as download:
            console.click(page.get_by_role("link", name="Export"))
        _verify_offline(download.value.path())
        console.click(page.get_by_role("link", name="Verify the chain"))
        expect(page.locator("p#verdict")).to_contain_text("intact")
        assert console.clicks <= 4
        _tamper(night, 3)
        page.get_by_role("button", name="Verify the chain").click()
        expect(page.locator("p#verdict")).to_contain_text("3")
        expect(page.locator("p#verdict")).not_to_contain_text("is intact")


def _verify_offline(path: Path) -> None:
    """Check the hashes of an export, up to its signed head."""
    *lines, last = map(json.loads, path.read_text().splitlines())
    previous = "0" * 64
    for line in lines:
        digest = line.pop("hash")
        assert line["previous_hash"] == previous
        assert hashlib.sha256(rfc8785.dumps(line)).hexdigest() == digest
        previous = digest
    assert last["head"]["hash"] == previous
    assert last["head"]["signature"].startswith("hmac-sha256:")


def _tamper(site: NightSite, number: int) -> None:
    """Change an entry as only the owner of the table can."""
    import psycopg

    with psycopg.connect(site.variables["ORBIT_OWNER_DATABASE_URL"], autocommit=True) as owner:
        owner.execute("ALTER TABLE governance_audittrailentry DISABLE TRIGGER ALL")
        owner.execute(
            "UPDATE governance_audittrailentry SET reason = 'nothing' WHERE id = %s", [number]
        )


def test_s12_an_id_opens_its_object_and_nonsense_is_said_to_be_nowhere(night: NightSite) -> None:
    job = DispatchJob.objects.filter(cycle_id=night.night.partial, status="dead").first()
    assert job is not None
    with chromium(night.address) as browser:
        console = browser.visit("vic")
        page = console.page
        for text in (str(job.pk), str(job.delivery_id)):
            page.get_by_role("searchbox", name="Search").first.fill(text)
            page.keyboard.press("Enter")
            expect(page.get_by_role("main")).to_contain_text(str(job.pk))
        page.get_by_role("searchbox", name="Search").first.fill("nothing-has-this")
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile("nothing-has-this"))
        expect(page.get_by_role("main")).to_contain_text(re.compile("[Nn]othing|[Nn]o "))


def test_s13_two_cycles_side_by_side_show_what_changed(night: NightSite) -> None:
    with chromium(night.address) as browser:
        console = browser.visit("vic")
        page = console.open("/admin/orbit/cyclerun/?namespace=eu")
        for cycle in (night.night.before, night.night.partial):
            console.click(page.get_by_role("row").filter(has_text=cycle).get_by_role("checkbox"))
        console.click(page.get_by_role("button", name="Compare"))
        main = page.get_by_role("main")
        expect(main).to_contain_text("aurora")
        expect(main).to_contain_text("503")
        expect(main).to_contain_text(re.compile("[Tt]ier 3"))
        assert console.clicks <= 3
