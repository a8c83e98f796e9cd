"""GET /dead-letters, POST /dead-letters/{id}/requeue."""

import uuid
from typing import Any

import pytest

from governance.models import AuditTrailEntry
from orbit.models import CycleRun, DeadLetterDispatch, DispatchJob
from tests.support.callers import api, person, problem
from tests.support.pipeline import carry, configure, endpoints, start
from tests.support.receiver import OK, Receiver, http


@pytest.fixture
def dead(committed: str, settings: Any) -> CycleRun:
    """A cycle of namespace ``a`` whose three deliveries were given up."""
    with Receiver(http("410 Gone")) as bad:
        endpoints(settings, **{"default-endpoint": bad.url})
        configure()
        return carry(start())


def test_dead_letters_are_listed_filtered_and_read(dead: CycleRun) -> None:
    client = api(person())
    page = client.get("/dead-letters").json()
    found = [(row["namespace"], row["endpoint_key"], row["status"], row["status_code"]) for row in page["results"]]
    assert found == [("a", "default-endpoint", "open", 410)] * 3
    assert client.get(f"/dead-letters/{page['results'][0]['id']}").json() == page["results"][0]
    assert len(client.get(f"/dead-letters?cycle_run_id={dead.pk}&status=open&endpoint_key=default-endpoint").json()["results"]) == 3
    assert client.get("/dead-letters?status=requeued").json()["results"] == []
    problem(client.get("/dead-letters?cycle_run_id=x"), 400, "invalid_parameter")
    problem(client.get(f"/dead-letters/{uuid.uuid4()}"), 404, "unknown_dead_letter")


def test_a_confined_person_neither_sees_nor_requeues_another_namespaces(dead: CycleRun) -> None:
    letter = DeadLetterDispatch.objects.first()
    assert letter is not None
    client = api(person("bea", "Operator", "b"))
    assert client.get("/dead-letters").json()["results"] == []
    problem(client.get(f"/dead-letters/{letter.pk}"), 404, "unknown_dead_letter")
    problem(client.post(f"/dead-letters/{letter.pk}/requeue", {"reason": "try"}), 404, "unknown_dead_letter")
    assert DispatchJob.objects.count() == 3


def test_a_requeue_makes_one_job_that_is_delivered_and_a_second_one_is_told(dead: CycleRun, settings: Any) -> None:
    letter = DeadLetterDispatch.objects.first()
    assert letter is not None
    client = api(person())
    with Receiver(OK) as good:
        endpoints(settings, **{"default-endpoint": good.url})
        answer = client.post(f"/dead-letters/{letter.pk}/requeue", {"reason": "Aurora is back", "endpoint": "current"})
        assert answer.status_code == 201
        problem(client.post(f"/dead-letters/{letter.pk}/requeue", {"reason": "again"}), 409, "already_requeued")
        job = DispatchJob.objects.get(pk=answer.json()["dispatch_job_id"])
        assert job.delivery_id == letter.job.delivery_id
        carry(dead.pk)
        assert [received.headers["idempotency-key"] for received in good.requests] == [str(job.delivery_id)]
    assert client.get(f"/dead-letters/{letter.pk}").json()["requeued_job_id"] == str(job.pk)
    found = client.get(f"/cycles/{dead.pk}").json()
    assert found["deliveries"] == {"total": 3, "delivered": 1, "dead": 2, "cancelled": 0, "open": 0}
    assert "1 of 3 deliveries done" in found["verdict"]
    assert AuditTrailEntry.objects.get(action="dead_letter.requeued").reason == "Aurora is back"


@pytest.mark.parametrize(("body", "pointer"), [({}, ""), ({"reason": "x", "endpoint": "other"}, "/endpoint"), ({"reason": "x", "new_key": 1}, "/new_key"),
                                               ({"reason": "x", "ids": []}, "/ids")])  # fmt: skip
def test_a_wrong_body_makes_no_job(dead: CycleRun, body: dict[str, Any], pointer: str) -> None:
    letter = DeadLetterDispatch.objects.first()
    assert letter is not None
    found = problem(api(person()).post(f"/dead-letters/{letter.pk}/requeue", body), 422, "invalid_body")
    assert [error["pointer"] for error in found["errors"]] == [pointer]
    assert DispatchJob.objects.count() == 3
