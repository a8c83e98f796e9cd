"""Equal requests at the same moment."""

import json
import threading
from typing import Any

import pytest
from django.db import connection

from orbit.models import CycleRun
from tests.support.callers import api, create_user


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
