"""S1 to S5, S11, S14: the on-call at 03:00. Each counts its clicks."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from governance.models import AuditTrailEntry
from orbit.models import CycleRun, DeadLetterDispatch, DispatchJob
from tests.e2e.conftest import NightSite
from tests.support import bad_night
from tests.support.browser import chromium
from tests.support.pipeline import rows
from tests.support.polling import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(400)]
GROUP = re.compile("aurora.*503")


def _open_group(page: Page) -> None:
    page.get_by_role("link", name=GROUP).first.click()


def _state(page: Page, text: str) -> object:
    return (
        page.get_by_role("complementary", name="System state")
        .get_by_role("status")
        .filter(has_text=text)
    )


@pytest.mark.parametrize("scripts", [True, False])
def test_s1_the_dashboard_leads_to_why_the_cycle_failed(night: NightSite, scripts: bool) -> None:
    with chromium(night.address) as browser:
        console = browser.visit("ann", scripts=scripts)
        page = console.page
        expect(page.get_by_role("heading", level=1)).to_have_text(
            re.compile(r"\d things? needs? you")
        )
        console.click(
            page.get_by_role("main").get_by_role("link", name=re.compile("daily-eu")).first
        )
        verdict = page.locator("p#verdict")
        expect(verdict).to_contain_text("tier 3")
        expect(verdict).to_contain_text("4 of 6")
        expect(verdict).to_contain_text("2 dead at aurora (503")
        assert console.clicks <= 1


def test_s2_a_key_halts_a_namespace_and_every_page_shows_it(night: NightSite) -> None:
    with chromium(night.address) as browser:
        console = browser.visit("ann")
        other = browser.visit("vic").page
        page = console.open("/admin/orbit/deadletterdispatch/?namespace=eu")
        console.press("h")
        page.get_by_role("textbox", name="Reason").fill("receiver doubles orders")
        console.press("Enter")
        expect(_state(page, "eu is halt")).to_contain_text(
            re.compile("by ann.*receiver doubles orders")
        )
        # Five seconds, and three for a busy machine.
        expect(_state(other, "eu is halt")).to_be_visible(timeout=8_000)
        assert console.clicks <= 2
    entry = AuditTrailEntry.objects.get(action="namespace.halted", namespace="eu")
    assert (entry.actor, entry.reason) == ("ann", "receiver doubles orders")


def test_s2_after_a_halt_no_delivery_starts(night: NightSite) -> None:
    aurora = night.night.sinks["aurora"]
    aurora.answer = bad_night.slowly(bad_night.WELL, 0.1)
    with night.cluster(), chromium(night.address) as browser:
        page = browser.visit("ann").page
        _requeue_group(page, night.address)
        before = aurora.requests
        until(lambda: aurora.requests > before + 5, "no delivery started")
        page.goto(f"{night.address}/admin/halt/?namespace=eu")
        page.get_by_role("textbox", name="Reason").fill("stop now")
        page.get_by_role("button", name="Halt namespace").click()
        expect(_state(page, "eu is halt")).to_contain_text("stop now")
        quiet = "SELECT 1 FROM governance_stop WHERE quiet_at IS NOT NULL AND reason = 'stop now'"
        until(lambda: rows(quiet), "the halt isn't quiet")
        at_halt = aurora.requests
        page.goto(f"{night.address}/admin/")
        page.goto(f"{night.address}/admin/governance/namespace/")
        assert aurora.requests == at_halt < before + 300
    (halted,) = rows("SELECT since FROM governance_stop WHERE reason = 'stop now'")[0]
    # One second, and another for a busy machine.
    assert max(aurora.times) <= halted + timedelta(seconds=2)


def test_s3_a_resume_says_first_what_it_starts_and_the_same_cycle_goes_on(
    night: NightSite,
) -> None:
    delivered = (
        "SELECT count(*) FROM orbit_dispatchjob WHERE cycle_id = %s AND status = 'delivered'"
    )
    night.night.sinks["aurora"].answer = bad_night.WELL
    with night.cluster(), chromium(night.address) as browser:
        console = browser.visit("ann")
        page = console.page
        console.click(_state(page, "apac is halt").get_by_role("link", name="Resume"))
        expect(page.get_by_role("main")).to_contain_text(re.compile(r"Cycles that continue\s*1"))
        page.get_by_role("textbox", name="Reason").fill("the receiver is mended")
        console.click(page.get_by_role("button", name="Resume"))
        expect(_state(page, "apac is halt")).to_have_count(0)
        assert console.clicks <= 3
        waiting = CycleRun.objects.filter(pk=night.night.waiting)
        until(lambda: waiting.get().status == "success", "the cycle didn't go on")
    assert rows(delivered, night.night.waiting) == [(9,)]
    assert not rows(
        "SELECT 1 FROM orbit_deliveryreceipt r JOIN orbit_dispatchjob j ON j.id = r.job_id"
        " WHERE j.cycle_id = %s GROUP BY job_id HAVING count(*) > 1",
        night.night.waiting,
    )


def _requeue_group(page: Page, address: str) -> None:
    page.goto(f"{address}/admin/orbit/deadletterdispatch/")
    _open_group(page)
    page.get_by_role("checkbox", name="all").first.check()
    page.get_by_role("button", name="Requeue").first.click()
    _confirm(page)


def _confirm(page: Page) -> None:
    page.get_by_role("textbox", name="Reason").fill("Aurora is back")
    page.get_by_role("spinbutton", name="Number of letters").fill("300")
    rate = page.get_by_role("spinbutton", name="Letters a second")
    if rate.count():
        rate.fill("100")
    page.get_by_role("main").get_by_role("button", name="Requeue").click()


def test_s4_a_group_of_300_is_requeued_and_the_page_may_be_closed_meanwhile(
    night: NightSite,
) -> None:
    aurora = night.night.sinks["aurora"]
    aurora.answer = bad_night.WELL
    before = aurora.requests
    with night.cluster(), chromium(night.address) as browser:
        console = browser.visit("ann")
        page = console.open("/admin/orbit/deadletterdispatch/")
        console.click(page.get_by_role("link", name=GROUP).first)
        console.click(page.get_by_role("checkbox", name="all").first)
        console.click(page.get_by_role("button", name="Requeue").first)
        console.clicks += 1
        _confirm(page)
        expect(page.get_by_role("main")).to_contain_text("dlq.bulk_requeue")
        assert console.clicks <= 4
        address = page.url
        page.close()
        page = browser.visit("vic").page
        page.goto(address)
        progress = page.get_by_role("progressbar", name="progress")
        values = [0.0]
        until(
            lambda: values.append(progress.evaluate("e => e.value")) or values[-1] == 300,
            "the page doesn't reach 300",
            seconds=180,
            every=0.2,
        )
        assert values == sorted(values)
        expect(page.get_by_role("main")).to_contain_text("300 of 300")
        sent = DispatchJob.objects.filter(requeue_of__isnull=False, status="delivered")
        until(lambda: sent.count() == 300, "not all are delivered", seconds=180)
    assert aurora.requests == before + 300
    assert DispatchJob.objects.filter(requeue_of__isnull=False).count() == 300
    run = rows(
        "SELECT outcome, progress FROM governance_operationrun WHERE type = 'dlq.bulk_requeue'"
    )
    assert len(run) == 1


def test_s5_two_who_requeue_the_same_letter_get_one_outcome_and_one_refusal(
    night: NightSite,
) -> None:
    with chromium(night.address) as browser:
        pages = [browser.visit(name).page for name in ("ann", "adm")]
        for page in pages:
            page.goto(
                f"{night.address}/admin/orbit/deadletterdispatch/{night.night.letter}/requeue/"
            )
            page.get_by_role("textbox", name="Reason").fill("Aurora is back")
        for page in pages:
            page.get_by_role("main").get_by_role("button", name="Requeue").click(no_wait_after=True)
        outcome = re.compile("requeued as job|already|was requeued|requeued by")
        for page in pages:
            expect(page.locator("body")).to_contain_text(outcome)
        texts = [page.locator("body").inner_text() for page in pages]
        assert sum("requeued as job" in text for text in texts) == 1, texts
    letter = DeadLetterDispatch.objects.get(pk=night.night.letter)
    assert letter.status == "requeued"
    assert DispatchJob.objects.filter(requeue_of=letter.job_id).count() == 1


def test_s11_a_missing_cluster_is_said_within_30_seconds_and_no_longer_than_it_is_missing(
    night: NightSite,
) -> None:
    with chromium(night.address) as browser:
        page = browser.visit("vic").page
        expect(_state(page, "No cluster is running")).to_be_visible()
        with night.cluster() as cluster:
            cluster.ready()
            expect(_state(page, "No cluster is running")).to_have_count(0, timeout=30_000)
        # Its heartbeat is forgotten, as if thirty seconds had passed.
        rows("UPDATE orbit_clusternode SET seen_at = now() - interval '1 minute' RETURNING id")
        expect(_state(page, "No cluster is running")).to_be_visible(timeout=30_000)
