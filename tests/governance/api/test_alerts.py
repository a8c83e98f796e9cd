"""GET /alerts, POST /alerts/{id}/acknowledge, ``manage.py alerts``, and the page."""

import json
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.test import Client

from governance.alerts import evaluate
from governance.alerts.conditions import Condition, Look, Observation
from governance.models import Alert, AuditTrailEntry, Notification
from tests.support.callers import api, create_user, problem

pytestmark = pytest.mark.django_db


@pytest.fixture
def alerts() -> dict[str, Alert]:
    """An open alert of namespace a, one of b, one of the workspace, and a resolved one of a."""
    letters = [Observation("x in a", "3 dead letters", "a"), Observation("y in b", "2", "b")]
    evaluate.apply(Condition.HALTED_LONG, Look.of([Observation("a", "a is halted", "a")]), [])
    evaluate.apply(Condition.HALTED_LONG, Look.of([]), [])
    evaluate.apply(Condition.DEAD_LETTERS, Look.of(letters), ["email"])
    evaluate.apply(
        Condition.RETENTION_LAG, Look.of([Observation("retention", "a week behind")]), []
    )
    return {alert.object: alert for alert in Alert.objects.all()}


def objects(response: Any) -> list[str]:
    return [row["object"] for row in response.json()["results"]]


def test_alerts_are_listed_newest_first_and_filtered(alerts: dict[str, Alert]) -> None:
    client = api(create_user())
    assert objects(client.get("/alerts")) == ["retention", "y in b", "x in a", "a"]
    assert objects(client.get("/alerts?open=true&namespace=a")) == ["x in a"]
    assert objects(client.get("/alerts?open=false")) == ["a"]
    assert objects(client.get("/alerts?condition=retention_lag")) == ["retention"]
    assert client.get("/alerts?open=perhaps").status_code == 400


def test_a_confined_user_sees_no_alert_of_others(alerts: dict[str, Alert]) -> None:
    client = api(create_user("bob", "Operator", "a"))
    assert objects(client.get("/alerts")) == ["x in a", "a"]
    for name in ("y in b", "retention"):
        answer = client.post(f"/alerts/{alerts[name].pk}/acknowledge", {})
        problem(answer, 404, "unknown_alert")
    console = Client()
    console.force_login(create_user("eve", "Operator", "a"))
    page = console.get("/admin/alerts/").content.decode()
    assert ("3 dead letters" in page, "y in b" in page, "a week behind" in page) == (
        True,
        False,
        False,
    )
    assert "Where alerts go" not in page


def test_the_first_acknowledgement_counts_and_is_audited_once(alerts: dict[str, Alert]) -> None:
    path = f"/alerts/{alerts['x in a'].pk}/acknowledge"
    first = api(create_user("ann")).post(path, {"reason": "on it"})
    second = api(create_user("bob")).post(path)
    for answer in (first, second):
        assert (answer.status_code, answer.json()["acknowledged_by"]) == (200, "ann")
    entry = AuditTrailEntry.objects.get(action="alert.acknowledged")
    assert (entry.actor, entry.reason, entry.namespace) == ("ann", "on it", "a")


def test_a_viewer_may_not_acknowledge(alerts: dict[str, Alert]) -> None:
    viewer = api(create_user("vic", "Viewer"))
    assert viewer.post(f"/alerts/{alerts['x in a'].pk}/acknowledge").status_code == 403
    assert api(create_user()).post(f"/alerts/{UUID(int=1)}/acknowledge").status_code == 404


def test_the_command_lists_and_acknowledges(
    alerts: dict[str, Alert], capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("alerts", "--open", "--json")
    rows = json.loads(capsys.readouterr().out)["results"]
    assert [row["object"] for row in rows] == ["retention", "y in b", "x in a"]
    call_command("alerts", "acknowledge", str(alerts["retention"].pk), "--reason", "seen")
    assert Alert.objects.get(object="retention").acknowledged_reason == "seen"
    call_command("alerts")
    assert "acknowledged" in capsys.readouterr().out


def test_the_page_shows_what_is_open_and_takes_an_acknowledgement(
    alerts: dict[str, Alert],
) -> None:
    console = Client()
    console.force_login(create_user())
    Notification.objects.update(
        status="failed",
        next_attempt_at=None,
        finished_at="2026-01-01T00:00Z",
        last_error="HTTP 410",
    )
    page = console.get("/admin/alerts/").content.decode()
    assert "3 open alerts" in page
    assert "HTTP 410" in page
    answer = console.post(
        f"/admin/alerts/{alerts['x in a'].pk}/acknowledge/", {"reason": "on it"}, follow=True
    )
    assert "ann looks after it: 3 dead letters." in answer.content.decode()


def test_the_page_says_when_all_is_well() -> None:
    console = Client()
    console.force_login(create_user())
    assert "No open alerts" in console.get("/admin/alerts/").content.decode()
