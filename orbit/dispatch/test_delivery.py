"""Send one test delivery to an endpoint, marked as a test.

It goes through the same egress rules as any delivery. It is no job: it isn't retried, and neither
the circuit nor the limits of the endpoint count it.
"""

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel import clock
from governance.kernel.canonical import canonical_json
from governance.models import AuditTrailEntry
from governance.namespaces import gate
from orbit.dispatch import endpoints, enqueue, outcome
from orbit.dispatch.endpoints import Delivery, Endpoint
from orbit.errors import EndpointUnknown, JustTested
from orbit.models import EndpointState
from orbit.outbound import client
from orbit.records.execution import clean
from orbit.states import Attempt

#: One endpoint is tested at most once in so many seconds.
EVERY_SECONDS = 10
#: The deadline: a user waits for the answer.
LONGEST_SECONDS = 10.0
_REMEMBERED = 5


@dataclass(frozen=True, slots=True)
class SentTest:
    """What became of a test delivery. ``status_code`` None: no answer."""

    status: Attempt
    status_code: int | None
    latency_ms: float
    error: str

    def __str__(self) -> str:
        answer = self.error or f"HTTP {self.status_code}"
        return f"Test delivery {self.status}: {answer}, {self.latency_ms:,.0f} ms."


@dataclass(frozen=True, slots=True)
class PastTest:
    """A test delivery of the audit trail."""

    at: datetime
    by: str
    status: str
    status_code: int | None
    latency_ms: float
    error: str


def find(key: str) -> Endpoint:
    """Return the configured endpoint. Raises EndpointUnknown."""
    endpoint = endpoints.configured().get(key)
    if endpoint is None:
        raise EndpointUnknown(f"No endpoint {key[:100]!r} is configured.")
    return endpoint


def send(key: str, *, actor: Actor) -> SentTest:
    """Send a test delivery and return its result; one audit entry.

    Raises NotAllowed, EndpointUnknown, JustTested and GloballyPaused.
    """
    actor.require(Scope.OPERATE)
    actor.require_workspace()
    endpoint = find(key)
    paused = gate.everything_paused()
    if paused is not None:
        raise paused
    _take_turn(endpoint)
    answer = client.send(_request(endpoint), allowed=settings.ORBIT_DISPATCH_ALLOWED_HOSTS)
    is_delivered = outcome.attempt_status(answer) == Attempt.DELIVERED
    result = SentTest(
        outcome.attempt_status(answer),
        answer.status,
        answer.latency_ms,
        "" if is_delivered else clean(answer.error or answer.refusal),
    )
    with audit.transaction():
        audit.record(Action.ENDPOINT_TESTED, actor=actor.name, object_id=key, after=asdict(result))
    return result


def past(key: str | None = None) -> list[PastTest]:
    """Return the last tests, the newest first."""
    entries = AuditTrailEntry.objects.filter(action=Action.ENDPOINT_TESTED)
    if key is not None:
        entries = entries.filter(object_type=Action.ENDPOINT_TESTED.object_type, object_id=key)
    return [
        PastTest(entry.at, entry.actor, **(entry.after or {}))
        for entry in entries.order_by("-id")[:_REMEMBERED]
    ]


def _take_turn(endpoint: Endpoint) -> None:
    enqueue.snapshot_id(endpoint)  # an endpoint that was never used has no state yet
    free = Q(tested_at=None) | Q(tested_at__lt=Now() - timedelta(seconds=EVERY_SECONDS))
    # A time ahead of the clock is from before the clock went back. One that is a little ahead is of
    # a test that began after this statement and was faster.
    free |= Q(tested_at__gt=Now() + timedelta(seconds=EVERY_SECONDS))
    states = EndpointState.objects.filter(free, endpoint_key=endpoint.key, host=endpoint.host)
    # Of two tests at once, one finds the row taken.
    if not states.update(tested_at=Now()):
        raise JustTested(
            f"{endpoint.key} was tested less than {EVERY_SECONDS} s ago. Try again in a moment."
        )


def _request(endpoint: Endpoint) -> client.Request:
    body = canonical_json(
        {
            "orbit_test": True,
            "message": "This is a test delivery from Orbit. Don't act on it.",
            "endpoint": endpoint.key,
            "at": clock.now().isoformat(),
        }
    )
    delivery = Delivery(delivery_id=str(uuid4()), content_type="application/json", attempt=1)
    request = endpoints.build_request(endpoint, delivery, body)
    return replace(
        request,
        headers={**request.headers, "X-Orbit-Test": "1"},
        total_timeout=min(request.total_timeout, LONGEST_SECONDS),
    )
