"""A worker has the statements of cycles planned before a cycle waits for them."""

import threading
from typing import Any

import pytest
from django.db import connection

from governance.kernel import sql
from orbit.cycles import advance, finish, stages
from orbit.cycles.runner import WorkerProcess
from orbit.records import fence
from tests.support.pipeline import configure_endpoints, rows
from tests.support.polling import until
from tests.support.receiver import Receiver
from tests.support.shared_writes import claim

pytestmark = pytest.mark.usefixtures("committed")

PREPARED = "SELECT count(*) FROM pg_prepared_statements"
WRITTEN = (
    "SELECT count(*) FROM orbit_initiation",
    "SELECT count(*) FROM orbit_executionrecord",
    "SELECT count(*) FROM orbit_cyclecheckpoint",
    "SELECT count(*) FROM telemetry_telemetryevent",
)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The statements of the writer, each with how many its session has prepared by then."""
    real, statements = sql.send, []

    def send(text: str, parameters: Any, **more: Any) -> Any:
        answer = real(text, parameters, **more)
        if threading.current_thread().name == "writer":
            with connection.cursor() as cursor:
                cursor.execute(PREPARED)
                statements.append((text, cursor.fetchone()[0]))
        return answer

    monkeypatch.setattr(sql, "send", send)
    return statements


def test_a_cycle_finds_its_statements_planned(settings: Any, sent: list[tuple[str, int]]) -> None:
    worker = WorkerProcess()
    worker.warm_up()
    usual = [stages.START_AND_PREPARE.text, finish.CLOSE_DELIVERIES.text]
    until(lambda: len(sent) == 2, "the writer did not run them")
    assert [text for text, _ in sent] == usual
    planned = sent[-1][1]
    assert [rows(query) for query in WRITTEN] == [[(0,)]] * len(WRITTEN)

    [cycle] = claim(settings, 1)
    with Receiver() as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        with fence.sharing(worker.writer, cycle):
            advance.run(cycle, dispatch=worker.dispatch, worker="w")
    assert rows("SELECT status FROM orbit_cyclerun") == [("success",)]
    assert [text for text, _ in sent[2:]] == usual
    # The session had them: none was prepared for values of other types.
    assert sent[-1][1] == planned
