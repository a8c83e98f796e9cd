"""Banners of what the dashboard says too: a late scheduler, a broken audit trail."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django_q.models import Schedule

from governance.access.actors import operator
from governance.kernel.identifiers import uuid7
from governance.models import Alert
from governance.namespaces import halts
from orbit.models import ClusterNode, OverviewFacts
from orbit.schedules.sync import RunProfileSchedules
from tests.support.callers import console, create_user
from tests.support.pipeline import configure_endpoints, configure_profiles

pytestmark = pytest.mark.django_db
BANNERS = "/admin/banners/"


@pytest.fixture
def browser(settings: Any) -> Client:
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9")
    configure_profiles(
        r1={"namespace": "a", "execution_policy": {"cron": "0 3 * * *"}},
        r2={"namespace": "b", "execution_policy": {"cron": "0 4 * * *"}},
    )
    ClusterNode.objects.create(id=uuid7(), host="h", pid=1, release="1", workers=4)
    RunProfileSchedules("UTC").follow()
    return console(create_user("adm", "Administrator"))


def banners(browser: Client, address: str = BANNERS) -> list[str]:
    OverviewFacts.objects.all().delete()  # all pages share what was read
    page = browser.get(address).content.decode()
    return re.findall(r'<p class="banner bad".*?</p>', page)


def test_a_late_scheduler_has_a_banner_on_every_page_until_its_runs_start(
    browser: Client,
) -> None:
    assert banners(browser) == []
    late = Schedule.objects.filter(name="run-profile:r1")
    late.update(next_run=Now() - timedelta(minutes=9))
    for address in (BANNERS, "/admin/", "/admin/tables/", "/admin/orbit/cyclerun/"):
        [banner] = banners(browser, address)
        assert re.search(r"The scheduler is late: r1 should have run at \d\d:\d\d UTC\.", banner)
        assert '<a href="/admin/orbit/schedules/">Schedule</a>' in banner
    assert "The scheduler is late" in browser.get("/admin/").content.decode().partition("<h1>")[2]
    late.update(next_run=Now() + timedelta(hours=9))
    assert banners(browser) == []


def test_a_confined_user_reads_only_of_their_own_late_runs(browser: Client) -> None:
    Schedule.objects.filter(name="run-profile:r1").update(next_run=Now() - timedelta(minutes=9))
    assert len(banners(console(create_user("ann", "Operator", "a")))) == 1
    assert banners(console(create_user("bea", "Operator", "b"))) == []


def test_a_broken_audit_trail_has_a_banner_until_it_is_mended_not_until_it_is_acknowledged(
    browser: Client,
) -> None:
    summary = "The audit trail's entry 7 was changed. Entries before 7 are intact."
    alert = Alert.objects.create(
        id=uuid7(), condition="audit_broken", object="audit trail", summary=summary
    )
    dashboard = browser.get("/admin/").content.decode()
    assert dashboard.partition("<h1>")[2].count("Audit verification failed") == 1
    Alert.objects.update(acknowledged_at=Now(), acknowledged_by="adm")
    for address in (BANNERS, "/admin/tables/"):
        [banner] = banners(browser, address)
        assert "Audit verification failed: The audit trail&#x27;s entry 7 was changed." in banner
        assert 'href="/admin/governance/audittrailentry/verify/">Verify the chain</a>' in banner
    assert banners(console(create_user("bea", "Operator", "b"))) == []
    Alert.objects.filter(pk=alert.pk).update(resolved_at=Now())
    assert banners(browser) == []


def test_a_poll_of_an_open_page_costs_few_statements(
    browser: Client, django_assert_num_queries: Any
) -> None:
    look = re.findall(r'data-look="(\w+)"', browser.get(BANNERS).content.decode())[0]
    OverviewFacts.objects.update(taken_at=Now())
    with django_assert_num_queries(6):
        answer = browser.get(BANNERS, headers={"X-Look": look})
    assert (answer.status_code, answer.content) == (204, b"")
    halts.halt("b", actor=operator(), reason="receiver doubles orders")
    assert "b is halted" in browser.get(BANNERS, headers={"X-Look": look}).content.decode()
