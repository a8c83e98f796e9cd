"""Audit, handover and downloads in a real browser, with and without scripts."""

import csv
from pathlib import Path

import pytest
from django.db import connection
from playwright.sync_api import expect

from governance.access.actors import SYSTEM
from governance.namespaces import halts
from tests.e2e.conftest import Site
from tests.support.browser import visit

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.mark.parametrize("scripts", [True, False])
def test_an_auditor_verifies_reads_an_entry_and_takes_the_list_along(
    site: Site, scripts: bool, tmp_path: Path
) -> None:
    halts.halt("eu", actor=SYSTEM, reason="receiver doubles orders")
    connection.close()
    with visit(site.address, scripts=scripts) as console:
        console.enter("adm")
        page = console.page
        page.get_by_role("navigation", name="Main").get_by_role("link", name="Audit trail").click()
        page.get_by_role("link", name="Verify the chain").click()
        expect(page.locator("p#verdict")).to_contain_text("The chain is intact")
        page = console.open("/admin/governance/audittrailentry/?action=namespace.halted")
        with page.expect_download() as download:
            page.get_by_role("link", name="Download CSV").click()
        target = tmp_path / "audit.csv"
        download.value.save_as(target)
        with target.open(newline="") as lines:
            assert [row["reason"] for row in csv.DictReader(lines)] == ["receiver doubles orders"]
        page.locator("#result_list a").first.click()
        expect(page.locator("p#verdict")).to_have_text("receiver doubles orders")
        expect(page.get_by_text("its neighbours fit")).to_be_visible()


def test_a_shift_is_handed_over_by_one_link_in_two_clicks(site: Site) -> None:
    halts.halt("eu", actor=SYSTEM, reason="receiver doubles orders")
    connection.close()
    with visit(site.address) as console:
        console.enter("ann")
        page = console.page
        page.get_by_role("navigation", name="Main").get_by_role("link", name="Handover").click()
        page.get_by_role("link", name="Link to this page").click()
        expect(page.get_by_role("heading", name="Handover: the 8 hours until")).to_be_visible()
        expect(page.get_by_role("region", name="Halts, drains and pauses")).to_contain_text(
            "receiver doubles orders"
        )
        assert "until=20" in page.url
