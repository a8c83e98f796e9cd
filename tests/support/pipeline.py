"""Carrying cycles in the test's own process: configuration, trigger, and shifts until nothing is due."""

import json
import time
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from governance.access.actors import SYSTEM
from orbit.cycles import runner, trigger
from orbit.models import CycleRun
from orbit.pipeline.contract import Payload
from orbit.states import CYCLE, Cycle, Trigger
from tests.support.configuration import profile, run_profile, store


def endpoints(settings: Any, **urls: str) -> None:
    """Configure endpoints by key (``_`` stands for ``-``), with short back-off."""
    entries = [
        {"key": key.replace("_", "-"), "url": url, "method": "POST", "token": f"token-of-{key}"}
        for key, url in urls.items()
    ]
    settings.ORBIT_DISPATCH_ENDPOINTS = json.dumps(entries)
    settings.ORBIT_DISPATCH_ALLOWED_HOSTS = ["127.0.0.1"]
    settings.ORBIT_DISPATCH_BACKOFF_BASE = 0.05
    settings.ORBIT_DISPATCH_BACKOFF_CAP = 0.2


def configure(tiers: dict[str, Any] | None = None, **run_profiles: dict[str, Any]) -> None:
    """Store one profile with ``tiers`` and the run profiles by id (``_`` stands for ``-``); by default ``r1`` in ``a``."""
    wanted = run_profiles or {"r1": {"namespace": "a"}}
    documents = [
        run_profile(name.replace("_", "-"), "p1", **members) for name, members in wanted.items()
    ]
    store([profile("p1", execution_rules={"tiers": tiers or {}}, value_tags=["kit"])], documents)


def start(run_profile_id: str = "r1", body: bytes | None = None) -> UUID:
    """Trigger a cycle and return its id."""
    payload = Payload(body, "application/json") if body is not None else None
    return trigger.start(
        namespace=None,
        source=Trigger.COMMAND,
        actor=SYSTEM,
        run_profile_id=run_profile_id,
        payload=payload,
    ).cycle_id


def carry(cycle_id: UUID, *, seconds: float = 15) -> CycleRun:
    """Run shifts until the cycle has ended and nothing of it is due; return it."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        runner.run(seconds=2)
        cycle = CycleRun.objects.get(pk=cycle_id)
        if Cycle(cycle.status) in CYCLE.final and cycle.next_due_at is None:
            return cycle
        time.sleep(0.02)
    pytest.fail(f"cycle {cycle_id} did not end: {cycle.status}, due {cycle.next_due_at}")


def rows(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
