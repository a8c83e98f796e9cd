"""A prune that is killed between any two statements loses nothing and repeats nothing."""

import os
import signal
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from django.db import connections

from telemetry import database
from telemetry.models import TelemetryDay
from telemetry.retention import archive, prune
from tests.support.old_days import archived, days_ago, ingest, lines, run, stored

EVENTS = {None: 5, "eu": 6}
MOST_STATEMENTS = 200


@pytest.fixture(autouse=True)
def small_steps(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.ORBIT_TELEMETRY_COLD_ARCHIVE_ENABLED = True
    monkeypatch.setattr(archive, "STEP_EVENTS", 8)
    yield
    connections.close_all()


def kill_at(number: int, *, before: bool) -> Callable[..., Any]:
    """Return a wrapper of statements that kills its process before or after the given one."""
    seen = 0

    def execute(call: Callable[..., Any], *args: Any) -> Any:
        nonlocal seen
        seen += 1
        if before and seen == number:
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*args)
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return execute


def prune_in_a_process(day: date, number: int, *, before: bool) -> bool:
    """Prune ``day`` in a process that is killed at a statement; tell whether it was."""
    connections.close_all()
    child = os.fork()
    if child == 0:
        with database.connection().execute_wrapper(kill_at(number, before=before)):
            run(day)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.slow
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_prune_goes_on_wherever_it_was_killed(committed: str, before: bool) -> None:
    # A dropped day takes no more events, so each kill has a day of its own.
    for number in range(1, MOST_STATEMENTS):
        day = days_ago(32 + number)
        for namespace, count in EVENTS.items():
            ingest(day, count, namespace=namespace, second=len(namespace or ""))
        killed = prune_in_a_process(day, number, before=before)
        dropped = TelemetryDay.objects.filter(day=day, dropped_at__isnull=False).exists()
        left = stored(day)
        # Never both or neither.
        assert (dropped, left) in {(True, 0), (False, 11)}
        if not dropped:
            run(day)
        assert (archived(day), stored(day)) == (EVENTS, 0)
        assert len(set(lines(day))) == 11
        if not killed:
            break
    assert (killed, number > 20) == (False, True)
    assert prune.old_days() == []
