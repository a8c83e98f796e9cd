"""S14, S15, S21: what a page says while things change, and at what time."""

import json
import re
import threading
from datetime import UTC, date, datetime, timedelta
from socket import socket
from zoneinfo import ZoneInfo

import pytest
from django.db.models.functions import Now
from playwright.sync_api import Page, expect

from governance.access.actors import operator
from governance.namespaces import halts
from orbit.models import CycleRun
from tests.e2e.conftest import NightSite
from tests.support import bad_night, processes
from tests.support.browser import Visit, chromium
from tests.support.configuration import active_cycle
from tests.support.pipeline import start_cycle
from tests.support.polling import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(400)]
# Instead of the browser's own: no test can put a tab behind another one here.
HIDE = """() => {
    Object.defineProperty(document, "hidden", {value: true, configurable: true});
    Object.defineProperty(document, "visibilityState", {value: "hidden", configurable: true});
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_s14_a_cycle_says_what_it_waits_for_until_it_runs_again(night: NightSite) -> None:
    aurora, well = night.night.sinks["aurora"], threading.Event()

    def hold(sock: socket) -> None:
        well.wait(120)
        sock.sendall(bad_night.WELL)

    aurora.answer = hold
    endpoints = json.loads(night.variables["ORBIT_DISPATCH_ENDPOINTS"])
    slow = [{**endpoint, "read_timeout": 120, "total_timeout": 120} for endpoint in endpoints]
    variables = {"ORBIT_DISPATCH_ENDPOINTS": json.dumps(slow)}
    with chromium(night.address) as browser:
        page = browser.visit("vic").page
        verdict = page.locator("p#verdict")
        cycle = start_cycle("daily-us", b"{}")
        with night.cluster(**variables) as cluster:
            page.goto(f"{night.address}/admin/orbit/cyclerun/{cycle}/change/")
            expect(verdict).to_contain_text("it waits for an answer of aurora")
            # All at once, so that no other worker takes over.
            for member in processes.family(cluster.process.pid):
                processes.kill(member.pid)
            expect(verdict).to_contain_text(
                re.compile(r"its worker has (not renewed its lease|been silent) since")
            )
            expect(page.get_by_role("main")).to_contain_text("Next:")
        with night.cluster(**variables):
            expect(verdict).to_contain_text("it waits for an answer of aurora")
            well.set()
            expect(verdict).to_contain_text("Success")
    assert CycleRun.objects.get(pk=cycle).status == "success"


def test_s15_new_cycles_wait_behind_a_button_while_rows_are_selected(night: NightSite) -> None:
    with chromium(night.address) as browser:
        page = browser.visit("ann").page
        page.clock.install()
        page.goto(f"{night.address}/admin/orbit/cyclerun/?namespace=us")
        boxes = page.get_by_role("checkbox", name=re.compile("Select the cycle"))
        for number in (10, 12):
            boxes.nth(number).check()
        selected = [boxes.nth(number).get_attribute("value") for number in (10, 12)]
        page.evaluate("window.scrollTo(0, 300)")
        before = _place(page)
        assert before == (selected, 300)
        for _ in range(50):
            cycle = active_cycle("us", status="success", next_due_at=None, finished_at=Now())
        page.clock.run_for(16_000)
        pill = page.get_by_role("button", name=re.compile("^50 new"))
        expect(pill).to_be_visible()
        assert _place(page) == before
        pill.click()
        expect(page.get_by_role("row").nth(1)).to_contain_text(str(cycle.pk))


def _place(page: Page) -> object:
    checked = page.locator("#result_list tbody input:checked")
    return (
        [box.get_attribute("value") for box in checked.all()],
        page.evaluate("window.scrollY"),
    )


@pytest.mark.parametrize("path", ["", "orbit/cyclerun/", "orbit/cyclerun/{waiting}/change/"])
def test_s15_a_hidden_tab_asks_for_nothing(shared_night: NightSite, path: str) -> None:
    with chromium(shared_night.address) as browser:
        page = browser.visit("vic").page
        page.clock.install()
        page.goto(f"{shared_night.address}/admin/{path.format(**vars(shared_night.night))}")
        asked: list[str] = []
        # The browser fetches an icon when it likes.
        page.on(
            "request",
            lambda request: request.url.endswith("icon.svg") or asked.append(request.url),
        )
        page.clock.run_for(20_000)
        until(lambda: page.evaluate("1") and asked, "a visible page doesn't look again")
        page.wait_for_load_state("networkidle")
        page.evaluate(HIDE)
        asked.clear()
        page.clock.run_for(120_000)
        assert page.evaluate("document.hidden") is True
        assert asked == []


def test_s15_a_dashboard_that_looks_often_brings_its_banners(night: NightSite) -> None:
    with chromium(night.address) as browser:
        page = browser.visit("vic").page
        page.clock.install()
        page.goto(f"{night.address}/admin/")
        assert page.locator("#live").get_attribute("data-every") == "2"
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url.removeprefix(night.address)))
        banner = page.get_by_role("status").filter(has_text="us is halted")

        def look() -> None:
            page.clock.run_for(2_000)
            expect(page.locator("#fresh span")).to_have_text("updated 0 s ago")

        for _ in range(4):
            look()
        halts.halt("us", actor=operator(), reason="receiver doubles orders")
        look()
        expect(banner).to_be_visible()
        assert {*asked} == {"/admin/"}
        # While the page doesn't look, its banners still do.
        page.locator("#fresh input").uncheck()
        halts.resume("us", actor=operator(), reason="mended")
        asked.clear()
        page.clock.run_for(5_000)
        expect(banner).to_have_count(0)
        assert {*asked} == {"/admin/banners/"}
        halts.halt("us", actor=operator(), reason="receiver doubles orders")
        page.locator("#fresh input").check()
        look()
        expect(banner).to_be_visible()


def _last_sunday_of_october(year: int) -> date:
    end = date(year, 10, 31)
    return end - timedelta(days=(end.weekday() + 1) % 7)


def _zone(visit: Visit, zone: str) -> None:
    page = visit.open("/admin/preferences/")
    page.get_by_label("Time zone").select_option(zone)
    page.get_by_role("main").get_by_role("button", name="Save").click()
    expect(page.locator("body")).to_contain_text("Saved in this browser")


def test_s21_readers_of_two_zones_see_one_instant_each_with_its_zone(
    shared_night: NightSite,
) -> None:
    change = _last_sunday_of_october(datetime.now(UTC).year + 1)
    # 02:30 in Berlin comes twice on that day: first in summer time.
    due = datetime(change.year, 10, change.day, 0, 30, tzinfo=UTC)
    path = f"/admin/orbit/schedules/?week={{}}&q={bad_night.CYCLES}"
    times: dict[str, set[str]] = {}
    with chromium(shared_night.address) as browser:
        for zone, label in (("Asia/Kolkata", "IST"), ("America/New_York", "E[SD]T")):
            visit = browser.visit("vic", timezone_id=zone)
            _zone(visit, zone)
            local = due.astimezone(ZoneInfo(zone))
            page = visit.open(path.format(local.date()))
            expect(page.get_by_role("main")).to_contain_text(f"times in {zone}")
            expect(page.get_by_role("main")).to_contain_text(
                "02:30 happens twice on Sunday "
                f"{change.day} October (Europe/Berlin): {bad_night.CYCLES} runs once."
            )
            # Of the day of the change, in the reader's zone: one mark.
            marks = page.locator("table.week time").evaluate_all(
                "each => each.map(time => [time.dateTime, time.textContent])"
            )
            of_day = [
                (datetime.fromisoformat(moment), text)
                for moment, text in marks
                if abs(datetime.fromisoformat(moment) - due) < timedelta(hours=12)
            ]
            assert of_day == [(due, f"{local:%H:%M}")]
            page = visit.open(f"/admin/orbit/cyclerun/{shared_night.night.partial}/change/")
            expect(page.get_by_role("heading", level=1)).to_contain_text(
                re.compile(rf"\d\d:\d\d {label}")
            )
            page.get_by_text("The same as a table").click()
            table = page.get_by_role("columnheader", name=re.compile(rf"From \({label}\)"))
            expect(table).to_have_count(1)
            times[zone] = {
                datetime.fromisoformat(moment.replace("Z", "+00:00")).astimezone(UTC).isoformat()
                for moment in page.get_by_role("main")
                .locator("time[datetime]")
                .evaluate_all("each => each.map(time => time.dateTime)")
            }
    assert times["Asia/Kolkata"] == times["America/New_York"] != set()


def test_a_filter_is_saved_pinned_and_counted_on_the_dashboard(night: NightSite) -> None:
    name = "W" * 80  # a long word must not make a phone's page wider
    with chromium(night.address) as browser:
        visit = browser.visit("ann")
        page = visit.page
        page.goto(f"{night.address}/admin/orbit/cyclerun/?status=partial")
        page.locator("summary", has_text="Saved filters").click()
        page.get_by_role("textbox", name="Save this filter as").fill(name)
        page.get_by_role("button", name="Save filter").click()
        page.get_by_role("button", name=f"Pin {name}").click()
        expect(page.get_by_role("button", name=f"Unpin {name}")).to_be_visible()
        assert visit.faults([(1280, False), (320, True)]) == []
        page.goto(f"{night.address}/admin/")
        number = CycleRun.objects.filter(status="partial").count()
        tile = page.get_by_role("region", name="Pinned filters")
        expect(tile.get_by_role("link", name=f"{name} {number}", exact=True)).to_be_visible()
        assert visit.faults([(1280, True), (320, False)]) == []
        plain = browser.visit("ann", scripts=False).page
        tile = plain.get_by_role("region", name="Pinned filters")
        tile.get_by_role("link", name="All saved filters").click()
        row = plain.get_by_role("row").filter(has_text=name)
        expect(row.get_by_role("cell").nth(2)).to_have_text(f"{number}")
