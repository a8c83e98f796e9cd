"""One object of each kind that an address may name."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models.functions import Now
from django.urls import get_resolver

from governance.access.actors import SYSTEM
from governance.kernel.identifiers import uuid7
from governance.models import LoginAttempt, Stop
from governance.namespaces import halts
from governance.rest import openapi
from governance.rest.resources import Resource
from orbit.cycles import halt_certificates
from orbit.models import CronTick, ValueLedgerEntry
from orbit.schedules import change
from orbit.schedules.plan import Schedule
from orbit.schedules.rows import CYCLES
from orbit.schedules.sync import sync
from orbit.states import Tick
from tests.support.letters import letters
from tests.support.pipeline import configure, endpoints, start

NOWHERE = "00000000-0000-0000-0000-000000000000"


def make(settings: Any) -> dict[str, Any]:
    """Make them; return what each part of an address may be. A part that isn't here names nothing."""
    settings.ORBIT_RATE_LIMIT = 1_000_000
    halted()
    ValueLedgerEntry.objects.create(
        id=uuid7(),
        cycle_id=uuid7(),
        namespace="a",
        kind="value",
        tag="kit",
        quantity="1.5",
        unit="cycle",
    )
    endpoints(settings, default_endpoint="http://127.0.0.1:9")
    configure(r1={"namespace": "a"}, r2={"namespace": "b"})
    schedules()
    LoginAttempt.objects.create(
        name="vic", address="192.0.2.7", failures=5, since=Now(), ends_at=Now()
    )
    return {
        "cycle_id": str(start()), "letter_id": str(letters(3)[0]), "profile_id": "p1", "run_profile_id": "r1", "namespace": "a", "number": 1,
        "name": CYCLES,
    }  # fmt: skip


def halted() -> None:
    """Have a namespace that is halted and quiet, with its certificate."""
    halts.halt("stopped", actor=SYSTEM, reason="a flood")
    Stop.objects.update(since=datetime.now(UTC) - timedelta(seconds=5))
    assert halt_certificates.certify() == 1


def schedules() -> None:
    """Have a schedule that somebody switched off, and a tick of it that was missed."""
    sync([Schedule(CYCLES, "0 0,12 * * *", "UTC")])
    change.switch(CYCLES, on=False, actor=SYSTEM, reason="night")
    due = datetime(2026, 1, 31, 12, tzinfo=UTC)
    CronTick.objects.create(
        id=uuid7(),
        schedule=CYCLES,
        tick_key=due.isoformat(),
        due_at=due,
        outcome=Tick.MISSED,
        detail={"on_missed": "skip"},
    )


def routes() -> list[tuple[str, type[Resource]]]:
    """Return every address of the API with its resource."""
    found = [
        (route, openapi.resource_of(pattern))
        for route, pattern in openapi.walk(get_resolver().url_patterns)
    ]
    return [(route, resource) for route, resource in found if resource is not None]


def address(route: str, known: dict[str, Any], **parts: Any) -> str:
    """Return the address of ``route`` with its parts from ``parts``, else ``known``, else such as name nothing."""

    def part(match: re.Match[str]) -> str:
        nothing: Any = {"uuid": NOWHERE, "int": 1}.get(match[1], "nothing")
        return str(parts.get(match[2], known.get(match[2], nothing)))

    return "/" + re.sub(r"<(?:(\w+):)?(\w+)>", part, route)


def parts(route: str) -> list[str]:
    """Return the names of the parts of ``route``."""
    return re.findall(r"<(?:\w+:)?(\w+)>", route)
