from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from governance.models import AuditTrailEntry
from tests.support.callers import Api, api, create_user, problem

pytestmark = pytest.mark.django_db
LATER = (datetime.now(UTC) + timedelta(hours=1)).isoformat()


@pytest.fixture
def operator() -> Api:
    return api(create_user())


def test_pause_and_unpause_answer_the_status(operator: Api) -> None:
    assert operator.get("/governance/pause").json() == {
        "paused": False,
        "source": None,
        "reason": "",
        "by": "",
        "since": None,
        "until": None,
        "quiet": False,
        "certificate": None,
    }
    answer = operator.post("/governance/pause", {"reason": "a fire", "until": LATER})
    assert answer.status_code == 200
    assert (
        answer.json()["paused"],
        answer.json()["source"],
        answer.json()["by"],
        answer.json()["reason"],
    ) == (True, "console", "ann", "a fire")
    assert operator.get("/governance/pause").json() == answer.json()
    answer = operator.post("/governance/unpause", {"reason": "it is out"})
    assert (answer.status_code, answer.json()["paused"]) == (200, False)
    assert list(
        AuditTrailEntry.objects.filter(object_type="pause")
        .order_by("id")
        .values_list("action", flat=True)
    ) == ["pause.set", "pause.lifted"]


def test_the_environments_pause_is_a_conflict(operator: Api, settings: Any) -> None:
    settings.ORBIT_GLOBAL_PAUSE = True
    assert operator.get("/governance/pause").json()["source"] == "environment"
    problem(operator.post("/governance/unpause", {"reason": "please"}), 409, "held_by_environment")


def test_a_pause_needs_a_reason_and_an_end_in_the_future(operator: Api) -> None:
    for path in ("pause", "unpause"):
        for body in (b"", {}, {"reason": " "}):
            problem(operator.post(f"/governance/{path}", body), 422, "invalid_body")
    problem(
        operator.post("/governance/unpause", {"reason": "r", "until": LATER}), 422, "invalid_body"
    )
    problem(
        operator.post("/governance/pause", {"reason": "r", "until": "2020-01-01T00:00:00Z"}),
        422,
        "invalid_until",
    )


def test_a_confined_user_reads_the_pause_and_cannot_set_it() -> None:
    confined = api(create_user("bea", "Operator", "b"))
    assert confined.get("/governance/pause").status_code == 200
    for path in ("pause", "unpause"):
        problem(confined.post(f"/governance/{path}", {"reason": "r"}), 403, "forbidden")
    problem(
        api(create_user("vic", "Viewer")).post("/governance/pause", {"reason": "r"}),
        403,
        "forbidden",
    )
