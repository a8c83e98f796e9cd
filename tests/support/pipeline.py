"""Configure, trigger and run cycles in this process."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from governance.access.actors import SYSTEM
from orbit import tasks
from orbit.cycles import runner, trigger
from orbit.models import CycleRun
from orbit.pipeline.contract import Payload
from orbit.states import CYCLE, Cycle, Trigger
from tests.support.configuration import profile, run_profile, store_profiles
from tests.support.polling import until


def configure_endpoints(settings: Any, **urls: str) -> None:
    """Configure endpoints by key. Write ``-`` of a key as ``_``."""
    entries = [
        {"key": key.replace("_", "-"), "url": url, "method": "POST", "token": f"token-of-{key}"}
        for key, url in urls.items()
    ]
    settings.ORBIT_DISPATCH_ENDPOINTS = json.dumps(entries)
    settings.ORBIT_DISPATCH_ALLOWED_HOSTS = ["127.0.0.1"]
    settings.ORBIT_DISPATCH_BACKOFF_BASE = 0.05
    settings.ORBIT_DISPATCH_BACKOFF_CAP = 0.2


def configure_profiles(tiers: dict[str, Any] | None = None, **run_profiles: dict[str, Any]) -> None:
    """Store the profile ``p1`` and run profiles by id, ``r1`` by default.

    Write ``-`` of an id as ``_``.
    """
    members_by_id = run_profiles or {"r1": {"namespace": "a"}}
    documents = [
        run_profile(name.replace("_", "-"), "p1", **members)
        for name, members in members_by_id.items()
    ]
    store_profiles(
        [profile("p1", execution_rules={"tiers": tiers or {}}, value_tags=["kit"])], documents
    )


def start_cycle(run_profile_id: str = "r1", body: bytes | None = None) -> UUID:
    """Trigger a cycle and return its id."""
    payload = Payload(body, "application/json") if body is not None else None
    return trigger.start(
        namespace=None,
        source=Trigger.COMMAND,
        actor=SYSTEM,
        run_profile_id=run_profile_id,
        payload=payload,
    ).cycle_id


def run_due(*, seconds: float) -> datetime | None:
    """Run due cycles as a worker does; return when the next is due.

    Needs ``committed``: slots have their own connections.
    """
    assert tasks.worker is not None
    return runner.run(tasks.worker, seconds=seconds)


def run_cycle(cycle_id: UUID) -> CycleRun:
    """Run the cycle to its end; return it."""

    def ended() -> CycleRun | None:
        run_due(seconds=2)
        cycle = CycleRun.objects.get(pk=cycle_id)
        return cycle if Cycle(cycle.status) in CYCLE.final and cycle.next_due_at is None else None

    cycle = until(ended, f"cycle {cycle_id} did not end")
    assert cycle is not None
    return cycle


def rows(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
