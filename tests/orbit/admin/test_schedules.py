"""The pages of schedules, and Trigger for all run profiles."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_q.models import Schedule as Row

from governance import display
from governance.kernel.identifiers import uuid7
from governance.models import AuditTrailEntry
from orbit.models import CronTick, CycleRun
from orbit.schedules import ledger
from orbit.schedules.plan import Schedule
from orbit.schedules.rows import CYCLES, RUN_PROFILES
from orbit.schedules.sync import RunProfileSchedules, sync
from tests.house.limits import PROJECT
from tests.support.callers import console, create_user
from tests.support.configuration import profile, run_profile, store_profiles
from tests.support.pipeline import rows

pytestmark = pytest.mark.django_db

LIST, WHY = "/admin/orbit/schedules/", "/admin/orbit/why/"


@pytest.fixture(autouse=True)
def schedules() -> None:
    sync([Schedule(CYCLES, "0 0,12 * * *", "UTC"), Schedule(RUN_PROFILES, "", "UTC")])
    daily = {"cron": "0 6 * * *"}
    store_profiles(
        [profile()],
        [
            run_profile("a", namespace="eu", execution_policy=daily),
            run_profile("b", namespace="us"),
            run_profile("c", namespace="us"),
        ],
    )
    RunProfileSchedules("Europe/Berlin").follow()
    ledger.enqueue_due()


def text(answer: Any) -> str:
    assert answer.status_code == 200, answer.content
    return str(answer.content.decode())


def test_the_list_describes_each_schedule_with_next_times_and_last_outcome() -> None:
    CronTick.objects.create(
        id=uuid7(),
        schedule="run-profile:a",
        tick_key="k",
        due_at=datetime.now(UTC),
        outcome="refused",
        detail={"detail": "<b>halted</b>"},
    )
    page = text(console(create_user("cat", "Configurator")).get(LIST))
    for words in (
        "At 06:00 every day",
        "0 6 * * *",
        "Europe/Berlin",
        "Switch off",
        "Change cron",
        "refused",
        "not configured",
    ):
        assert words in page, words
    assert "Switch off" not in text(console(create_user("vic", "Viewer")).get(LIST))
    ledgers = text(
        console(create_user("ada", "Administrator")).get(
            "/admin/orbit/crontick/?schedule__exact=run-profile:a"
        )
    )
    assert "&lt;b&gt;halted" in ledgers


def test_a_schedule_is_switched_off_and_on_with_a_reason_and_one_entry_each() -> None:
    browser = console(create_user("cat", "Configurator"))
    page = f"{LIST}run-profile:a/switch/"
    assert "Switch off" in text(browser.get(page))
    assert "This field is required" in text(browser.post(page, {"reason": ""}))
    assert browser.post(page, {"reason": "night", "on": "no"}, follow=True).redirect_chain == [
        (LIST, 302)
    ]
    assert Row.objects.get(name="run-profile:a").repeats == 0
    words = text(browser.get(LIST))
    assert "switched off by cat: night" in words
    # The same click again changes nothing.
    browser.post(page, {"reason": "night", "on": "no"})
    assert Row.objects.get(name="run-profile:a").repeats == 0
    assert "Switch on" in text(browser.get(page))
    browser.post(page, {"reason": "day", "on": "yes"})
    assert Row.objects.get(name="run-profile:a").repeats == -1
    assert list(
        AuditTrailEntry.objects.filter(action="schedule.changed")
        .order_by("id")
        .values_list("actor", "reason")
    ) == [("cat", "night"), ("cat", "day")]


def test_a_new_cron_is_saved_and_an_invalid_one_is_refused_at_its_field() -> None:
    browser = console(create_user("cat", "Configurator"))
    page = f"{LIST}{CYCLES}/cron/"
    refusal = text(browser.post(page, {"cron": "0 0 30 2 *", "reason": "r"}))
    assert "0 0 30 2 *" in refusal and "Never fires" in refusal
    assert not AuditTrailEntry.objects.filter(action="schedule.changed").exists()
    browser.post(page, {"cron": "15 7 * * *", "reason": "r"})
    assert Row.objects.get(name=CYCLES).cron == "15 7 * * *"
    assert "configured: 0 0,12 * * *" in text(browser.get(LIST))


def test_a_schedule_that_the_configuration_switched_off_says_so() -> None:
    answer = console(create_user("cat", "Configurator")).post(
        f"{LIST}{RUN_PROFILES}/switch/", {"reason": "r", "on": "yes"}
    )
    assert "has no cron in the configuration" in text(answer)


def test_a_user_without_scope_or_namespace_gets_no_page() -> None:
    for path in (f"{LIST}{CYCLES}/switch/", f"{LIST}{CYCLES}/cron/"):
        assert console(create_user(f"o{path[-4]}", "Operator")).get(path).status_code == 403
    confined = console(create_user("bea", "Configurator", "us"))
    assert "run-profile:a" not in text(confined.get(LIST))
    for name in (CYCLES, "run-profile:a", "run-profile:unknown", "%00"):
        assert confined.get(f"{LIST}{name}/switch/").status_code in {400, 404}
        assert confined.post(f"{LIST}{name}/cron/", {"cron": "", "reason": "r"}).status_code in {
            400,
            404,
        }
    assert "run-profile:a" not in text(confined.get("/admin/orbit/crontick/"))


def test_why_is_asked_and_answered_on_its_page() -> None:
    browser = console(create_user("vic", "Viewer"))
    assert 'name="at"' in text(browser.get(WHY))
    assert f"{WHY}?run_profile_id=a" in text(browser.get("/admin/orbit/runprofile/"))
    assert 'value="a"' in text(browser.get(f"{WHY}?run_profile_id=a"))
    assert "exist yet: a was created on" in text(
        browser.get(f"{WHY}?run_profile_id=a&at=2020-01-31T06:00:00Z")
    )
    assert "no run profile" in text(
        browser.get(f"{WHY}?run_profile_id=unknown&at=2020-01-31T06:00:00Z")
    )
    assert "must be a time" in text(browser.get(f"{WHY}?run_profile_id=a&at=then"))
    assert "no run profile" in text(
        console(create_user("bea", "Viewer", "us")).get(
            f"{WHY}?run_profile_id=a&at=2020-01-31T06:00:00Z"
        )
    )


def test_lists_are_paged_searched_and_bounded() -> None:
    store_profiles(
        [],
        [
            run_profile(f"r{number:03d}", execution_policy={"cron": "*/5 * * * *"})
            for number in range(120)
        ],
    )
    RunProfileSchedules("UTC").follow()
    browser = console(create_user("vic", "Viewer"))
    with CaptureQueriesContext(connection) as captured:
        page = text(browser.get(LIST))
    assert len(captured) <= 30 and len(page) < 300 * 1024
    assert "Next" in page and "r119" not in page
    assert "r119" in text(browser.get(f"{LIST}?p=3"))
    assert "r119" in text(browser.get(f"{LIST}?q=r119"))
    assert "cycles" not in text(browser.get(f"{LIST}?q=r119")).split("<tbody>")[1]
    assert "No schedules." in text(browser.get(f"{LIST}?q=none-of-this-name"))


@pytest.mark.parametrize(
    "query", ["p=x", "p=-1", "p=99999999999999999999", "q=%00", "q=%FF", "q=" + "x" * 5000]
)
def test_an_odd_address_is_no_server_error(query: str) -> None:
    assert console(create_user("vic", "Viewer")).get(f"{LIST}?{query}").status_code in {200, 400}


def test_trigger_offers_all_run_profiles_and_shows_each_outcome() -> None:
    browser = console(create_user("ola", "Operator"))
    page = "/admin/orbit/cyclerun/trigger/"
    assert "all enabled run profiles" in text(browser.get(page))
    words = text(browser.post(page, {"run_profile_id": "*", "namespace": "", "reason": "by hand"}))
    assert "2 started, 1 queued" in words
    assert CycleRun.objects.filter(trigger="admin").count() == 3
    entry = AuditTrailEntry.objects.get(action="cycle.triggered")
    assert (entry.actor, entry.reason) == ("ola", "by hand")
    assert "choose none here" in text(
        browser.post(page, {"run_profile_id": "*", "namespace": "us", "reason": "r"})
    )


@pytest.mark.parametrize("outcome", ["skipped", "refused", "missed", "late"])
def test_a_tick_has_one_colour_in_the_week_and_in_its_badge(outcome: str) -> None:
    style = (PROJECT / "orbit_site/static/orbit/configuration.css").read_text()
    [rule] = [
        line
        for line in style.splitlines()
        if line.startswith("a.mark") and re.search(rf"\W{outcome}\W", line)
    ]
    assert f"color: var(--{display.look(outcome)[0]})" in rule


def test_a_broken_row_is_shown_and_breaks_no_page() -> None:
    rows(
        "UPDATE django_q_schedule SET cron = '<i>', next_run = now() - interval '2 hours'"
        " WHERE name = 'cycles' RETURNING 1"
    )
    rows(
        "UPDATE django_q_schedule SET kwargs = 'foo(', next_run = 'infinity'"
        " WHERE name = 'run-profile:a' RETURNING 1"
    )
    page = text(console(create_user("cat", "Configurator")).get(LIST))
    assert "overdue since" in page and "&lt;i&gt;" in page
