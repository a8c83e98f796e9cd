"""Equal requests at the same moment."""

import json
import threading
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from governance.access.actors import SYSTEM, NotAllowed
from governance.access.still_allowed import Lost
from governance.kernel.errors import OrbitError
from governance.models import IdempotentRequest
from governance.rest.idempotency import IdempotencyKey, get_or_continue
from orbit.cycles import cancel
from orbit.models import CycleRun
from tests.support.callers import api, create_user, problem


@pytest.mark.usefixtures("committed")
def test_equal_requests_at_once_start_one_cycle_and_all_get_its_id() -> None:
    client_of = create_user()
    clients = [api(client_of) for _ in range(8)]
    answers: list[tuple[int, str]] = []
    go = threading.Barrier(len(clients), timeout=60)

    def call(client: Any) -> None:
        go.wait()
        try:
            answer = client.post(
                "/cycles/trigger", json.dumps({"payload": {"x": 1}}).encode(), Idempotency_Key="one"
            )
            answers.append(
                (answer.status_code, answer.json().get("cycle_run_id", answer.json().get("code")))
            )
        finally:
            connection.close()

    threads = [threading.Thread(target=call, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for status, _ in answers} == {202}
    assert len({cycle for _, cycle in answers}) == 1
    assert CycleRun.objects.count() == 1


@pytest.mark.django_db
def test_a_key_is_free_again_after_a_day_and_not_before() -> None:
    client = api(create_user())

    def trigger_at(age: timedelta) -> tuple[int, str]:
        IdempotentRequest.objects.update(created_at=timezone.now() - age)
        answer = client.post("/cycles/trigger", b'{"payload":{"x":1}}', Idempotency_Key="one")
        return answer.status_code, answer.json().get("cycle_run_id")

    status, first = trigger_at(timedelta(0))
    assert status == 202
    assert trigger_at(timedelta(hours=23)) == (202, first)
    cancel.cancel(UUID(first), actor=SYSTEM, reason="make room")
    status, second = trigger_at(timedelta(hours=25))
    assert (status, second == first) == (202, False)
    # The key is the new request's, from then on.
    assert IdempotentRequest.objects.get().created_at > timezone.now() - timedelta(hours=1)


@pytest.mark.django_db
def test_a_key_that_is_free_again_belongs_to_the_new_body() -> None:
    client = api(create_user())
    client.post("/cycles/trigger", {"payload": {"x": 1}}, Idempotency_Key="one")
    cancel.cancel(CycleRun.objects.get().pk, actor=SYSTEM, reason="make room")
    IdempotentRequest.objects.update(created_at=timezone.now() - timedelta(hours=25))
    answers = [
        client.post("/cycles/trigger", {"payload": {"x": 2}}, Idempotency_Key="one").json()
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    problem(
        client.post("/cycles/trigger", {"payload": {"x": 1}}, Idempotency_Key="one"),
        422,
        "idempotency_key_reused",
    )


@pytest.mark.django_db
def test_a_refusal_frees_its_key_and_no_other() -> None:
    ann, bea = api(create_user()), api(create_user("bea"))
    bodies = {"x": 1}, {"x": 2}
    started = ann.post("/cycles/trigger", {"payload": bodies[0]}, Idempotency_Key="one").json()
    unknown = {"run_profile_ids": ["unknown"]}
    # Another route, and another user: the same key there has nothing to do with this one.
    problem(
        ann.post("/run-profiles/trigger", unknown, Idempotency_Key="one"),
        404,
        "unknown_run_profile",
    )
    for body in bodies:
        problem(
            bea.post("/cycles/trigger", {"payload": body}, Idempotency_Key="one"),
            409,
            "cycle_active",
        )
    again = ann.post("/cycles/trigger", {"payload": bodies[0]}, Idempotency_Key="one")
    assert again.json() == started
    assert CycleRun.objects.count() == IdempotentRequest.objects.count() == 1


@pytest.mark.django_db
def test_the_same_key_of_two_users_has_an_answer_for_each() -> None:
    clients, answers = [api(create_user(name)) for name in ("ann", "bea")], []
    for client in clients:
        answer = client.post("/cycles/trigger", {"payload": 1}, Idempotency_Key="one").json()
        answers.append(answer)
        cancel.cancel(UUID(answer["cycle_run_id"]), actor=SYSTEM, reason="make room")
    assert answers[0] != answers[1]
    for client, answer in zip(clients, answers, strict=True):
        again = client.post("/cycles/trigger", {"payload": 1}, Idempotency_Key="one")
        assert again.json() == answer


@pytest.mark.django_db
def test_a_caller_who_lost_a_permission_on_the_way_goes_on_with_the_same_call_later() -> None:
    key = IdempotencyKey(owner_id=create_user().pk, route="r", key="k", body=b"")
    calls: list[UUID | None] = []

    def ask(refusal: OrbitError) -> None:
        def run(call: UUID | None) -> dict[str, Any]:
            calls.append(call)
            raise refusal

        with pytest.raises(type(refusal)):
            get_or_continue(key, run, status=202, ensure_visible=lambda stored: None)

    # Lost comes when a part is done, another refusal when nothing is.
    for refusal in (Lost(), Lost(), NotAllowed(), NotAllowed()):
        ask(refusal)
    assert calls[0] == calls[1] == calls[2] != calls[3]
