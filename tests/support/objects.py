"""One object of each kind that a URL can name."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models.functions import Now
from django.urls import get_resolver

from advisory.proposals import create
from advisory.signals import compute
from governance.access.actors import SYSTEM
from governance.kernel.identifiers import uuid7
from governance.models import LoginAttempt, Stop
from governance.namespaces import halts
from governance.rest import openapi
from governance.rest.resources import Resource
from orbit.cycles import halt_certificates
from orbit.models import CronTick, Profile, ValueLedgerEntry
from orbit.profiles.kinds import RUN_PROFILE
from orbit.schedules import change
from orbit.schedules.plan import Schedule
from orbit.schedules.rows import CYCLES
from orbit.schedules.sync import sync
from orbit.states import Tick
from tests.support import advisory_signals, conductor
from tests.support.alerts import create_alert
from tests.support.dead_letters import create_dead_letters
from tests.support.pipeline import configure_endpoints, configure_profiles, start_cycle
from tests.support.telemetry_rows import create_one_of_each

MISSING_ID = "00000000-0000-0000-0000-000000000000"


def create_objects(settings: Any) -> dict[str, Any]:
    """Create the objects; return a value for each URL parameter."""
    settings.ORBIT_RATE_LIMIT = 1_000_000
    create_halted_namespace()
    ValueLedgerEntry.objects.create(
        id=uuid7(),
        cycle_id=uuid7(),
        namespace="a",
        kind="value",
        tag="kit",
        quantity="1.5",
        unit="cycle",
    )
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9")
    configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
    create_schedule()
    create_one_of_each()
    advisory_signals.store({("p1", "a"): ("low_performance", 0.99)})
    LoginAttempt.objects.create(
        name="vic", address="192.0.2.7", failures=5, since=Now(), ends_at=Now()
    )
    made = conductor.run({"name": "t"}, namespace="a")
    return {
        "signal_id": str(compute.compute(actor=SYSTEM).signals[0].pk),
        "action_id": str(advisory_signals.action("p1", "a").pk),
        "conductor_run_id": made.id,
        "endpoint_key": "default-endpoint",
        "conductor_task_id": made.tasks[0].id,
        "alert_id": str(create_alert()),
        "cycle_id": str(start_cycle()),
        "letter_id": str(create_dead_letters(3)[0]),
        "proposal_id": create_proposal(),
        "noun": "profile",
        "pk": Profile.objects.get(profile_id="p1").pk,
        "profile_id": "p1",
        "run_profile_id": "r1",
        "namespace": "a",
        "number": 1,
        "name": CYCLES,
    }


def create_proposal() -> str:
    """Create a proposal for the run profile ``r1``; return its id."""
    patch = [{"op": "add", "path": "/value_tags", "value": ["new"]}]
    made = create.propose(RUN_PROFILE, "r1", patch, actor=SYSTEM, rationale="because")
    return str(made.proposal.id)


def create_halted_namespace() -> None:
    """Create a halted, quiet namespace with its certificate."""
    halts.halt("stopped", actor=SYSTEM, reason="a flood")
    Stop.objects.update(since=datetime.now(UTC) - timedelta(seconds=5))
    assert halt_certificates.certify() == 1


def create_schedule() -> None:
    """Create a disabled schedule with a missed tick."""
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
    """Return every route of the API with its resource."""
    resources = [
        (route, openapi.resource_of(pattern))
        for route, pattern in openapi.walk(get_resolver().url_patterns)
    ]
    return [(route, resource) for route, resource in resources if resource is not None]


def url_of(route: str, objects: dict[str, Any], **values: Any) -> str:
    """Return the URL of ``route``, with ``values`` before ``objects``."""

    def value(match: re.Match[str]) -> str:
        missing: Any = {"uuid": MISSING_ID, "int": 1}.get(match[1], "missing")
        return str(values.get(match[2], objects.get(match[2], missing)))

    return "/" + re.sub(r"<(?:(\w+):)?(\w+)>", value, route)


def parameters(route: str) -> list[str]:
    return re.findall(r"<(?:\w+:)?(\w+)>", route)
