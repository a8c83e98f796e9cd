"""Advice in a real browser: two clicks to a decision, one's own, the second reviewer."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from playwright.sync_api import expect

from advisory.decisions import decide
from advisory.models import StrategyProposal
from advisory.states import Verdict
from governance.kernel import clock
from orbit.models import Profile
from tests.e2e.conftest import Site
from tests.support import advice, advisory_signals
from tests.support.browser import visit
from tests.support.callers import actor_of, create_user

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
#: Widths, and whether they are dark.
WINDOWS = [(1280, False), (1280, True), (390, False), (390, True)]


@pytest.fixture
def proposal(site: Site) -> StrategyProposal:
    """A reviewer, and a proposal of the engine that waits for it."""
    create_user("rev", "Reviewer")
    create_user("bea", "Reviewer")
    advice.store_documents()
    made = advice.propose(expires_at=clock.read() + timedelta(days=2))
    connection.close()
    return made


@pytest.mark.parametrize("scripts", [True, False])
def test_two_clicks_lead_from_the_dashboard_to_an_approval(
    site: Site, proposal: StrategyProposal, scripts: bool
) -> None:
    with visit(site.address, scripts=scripts) as console:
        console.enter("rev")
        page = console.page
        page.get_by_role("link", name="Approval Call it slower waits for you").click()
        expect(page.get_by_role("heading", name="Call it slower")).to_be_visible()
        page.get_by_role("textbox", name="Reason").fill("it reads well")
        page.get_by_role("button", name="Approve").click()
        expect(page.locator("p#verdict")).to_contain_text("Approved by rev at 20")
        expect(page.get_by_role("link", name="roll back to revision 1")).to_be_visible()
        expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    assert site.api("/profiles/daily")["label"] == "Daily, slower"


def test_without_a_reason_the_buttons_do_nothing_and_enter_presses_none(
    site: Site, proposal: StrategyProposal
) -> None:
    with visit(site.address) as console:
        console.enter("rev")
        page = console.open(f"/admin/advisory/strategyproposal/{proposal.pk}/change/")
        page.get_by_role("button", name="Reject").click()
        page.get_by_text("Approve on probation").click()
        page.get_by_role("textbox", name="Reason").fill("for a while")
        page.get_by_label("Cycles").fill("10")
        page.get_by_label("Cycles").press("Enter")
        expect(page.get_by_text("Waits for you", exact=True)).to_be_visible()
        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_role("heading", name="Probation running")).to_be_visible()
        page.get_by_role("textbox", name="Reason").fill("it works")
        page.get_by_role("button", name="Confirm").click()
        expect(page.get_by_text("Confirmed: the change stays.")).to_be_visible()


def test_ones_own_has_a_sentence_and_a_second_tab_is_told_who_decided(
    site: Site, proposal: StrategyProposal
) -> None:
    own = advice.propose(
        User.objects.get(username="rev"),
        title="Mine",
        patch=[{"op": "replace", "path": "/label", "value": "Mine"}],
    )
    connection.close()
    with visit(site.address) as console:
        console.enter("rev")
        page = console.open(f"/admin/advisory/strategyproposal/{own.pk}/change/")
        expect(page.locator("p#verdict")).to_have_text(
            "This is your own proposal: another user has to decide it."
        )
        expect(page.get_by_role("button", name="Approve")).to_have_count(0)
        page = console.open(f"/admin/advisory/strategyproposal/{proposal.pk}/change/")
        with ThreadPoolExecutor(1) as other:  # the browser has a loop of its own in this one
            other.submit(_reject, proposal).result()
        page.get_by_role("textbox", name="Reason").fill("it reads well")
        page.get_by_role("button", name="Approve").click()
        expect(page.locator("p#verdict")).to_contain_text("Rejected by bea at 20")
        expect(page.get_by_text("has rejected this proposal already")).to_be_visible()
        # The browser reports the refusal, a 409, as an error.
        del console.problems[:]
    assert site.api("/profiles/daily")["label"] == "Daily"


def _reject(proposal: StrategyProposal) -> None:
    actor = actor_of(User.objects.get(username="bea"))
    decide.decide(proposal.pk, Verdict.REJECT, actor=actor, reason="not now")
    connection.close()


@pytest.mark.timeout(600)  # the checker takes long on a busy machine
def test_every_page_is_accessible_and_no_wider_than_the_screen(
    site: Site, proposal: StrategyProposal
) -> None:
    advisory_signals.store({("daily", "eu"): ("low_performance", 0.99)})
    row = Profile.objects.get(profile_id="daily").pk
    connection.close()
    paths = [
        "/admin/",
        "/admin/advisory/strategyproposal/",
        f"/admin/advisory/strategyproposal/{proposal.pk}/change/",
        f"/admin/advisory/strategyproposal/propose/profile/{row}/",
        "/admin/advisory/approvalpolicy/",
        "/admin/advisory/advisorysignal/",
    ]
    with visit(site.address) as console:
        console.enter("rev")
        for path in paths:
            page = console.open(path)
            if path.endswith("advisorysignal/"):
                page.get_by_role("link", name="daily").click()
                expect(page.locator("p#verdict")).to_be_attached()
            assert console.faults(WINDOWS) == []
