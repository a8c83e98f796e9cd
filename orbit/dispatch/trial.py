"""Send one test delivery to an endpoint, marked as a test.

It goes through the same egress rules as any delivery. It is no job: it isn't retried, and neither
the circuit nor the limits of the endpoint count it.

Its audit entry is committed before anything is sent, so no test leaves without a trace. The result
is stored beside it: a test without one was interrupted, and may have arrived.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel import clock, sql
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
#: After so many seconds without a result, a test was interrupted.
_OVER_SECONDS = 2 * LONGEST_SECONDS
_REMEMBERED = 5
KEEP_RESULT = sql.load(__name__, "keep_test_result", kept=_REMEMBERED)


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
    """A test delivery of the audit trail. ``latency_ms`` None: no result is stored."""

    at: datetime
    by: str
    status: str
    status_code: int | None = None
    latency_ms: float | None = None
    error: str = ""


def find(key: str) -> Endpoint:
    """Return the configured endpoint. Raises EndpointUnknown."""
    endpoint = endpoints.configured().get(key)
    if endpoint is None:
        raise EndpointUnknown(f"No endpoint {key[:100]!r} is configured.")
    return endpoint


def send(key: str, *, actor: Actor) -> SentTest:
    """Send a test delivery and return its result; one audit entry, written before it is sent.

    Raises NotAllowed, EndpointUnknown, JustTested and GloballyPaused.
    """
    actor.require(Scope.OPERATE)
    actor.require_workspace()
    endpoint = find(key)
    paused = gate.everything_paused()
    if paused is not None:
        raise paused
    delivery_id = str(uuid4())
    request = _request(endpoint, delivery_id)
    _begin(endpoint, delivery_id, actor=actor)
    answer = client.send(request, allowed=settings.ORBIT_DISPATCH_ALLOWED_HOSTS)
    is_delivered = outcome.attempt_status(answer) == Attempt.DELIVERED
    result = SentTest(
        outcome.attempt_status(answer),
        answer.status,
        answer.latency_ms,
        "" if is_delivered else clean(answer.error or answer.refusal),
    )
    KEEP_RESULT.execute(
        endpoint_key=endpoint.key,
        host=endpoint.host,
        test=json.dumps({"delivery_id": delivery_id, **asdict(result)}),
    )
    return result


def past(key: str) -> list[PastTest]:
    """Return the last tests, the newest first."""
    entries = AuditTrailEntry.objects.filter(
        action=Action.ENDPOINT_TESTED,
        object_type=Action.ENDPOINT_TESTED.object_type,
        object_id=key,
    )
    results: dict[str, Mapping[str, Any]] = {}
    for tests in EndpointState.objects.filter(endpoint_key=key).values_list("tests", flat=True):
        results.update({test.pop("delivery_id"): test for test in tests})
    return [_past(entry, results) for entry in entries.order_by("-id")[:_REMEMBERED]]


def _past(entry: AuditTrailEntry, results: Mapping[str, Mapping[str, Any]]) -> PastTest:
    document = entry.after or {}
    if "status" in document:  # of an older release, which wrote the entry after the answer
        return PastTest(entry.at, entry.actor, **document)
    result = results.get(document.get("delivery_id", ""))
    if result is not None:
        return PastTest(entry.at, entry.actor, **result)
    if clock.now() - entry.at < timedelta(seconds=_OVER_SECONDS):
        return PastTest(entry.at, entry.actor, "sending", error="no answer yet")
    return PastTest(entry.at, entry.actor, "unknown", error="no result: it was interrupted")


def _begin(endpoint: Endpoint, delivery_id: str, *, actor: Actor) -> None:
    """Take the turn and record the test, in one commit."""
    enqueue.snapshot_id(endpoint)  # an endpoint that was never used has no state yet
    with audit.transaction():
        _take_turn(endpoint)
        audit.record(
            Action.ENDPOINT_TESTED,
            actor=actor.name,
            object_id=endpoint.key,
            after={"delivery_id": delivery_id, "host": endpoint.host},
        )


def _take_turn(endpoint: Endpoint) -> None:
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


def _request(endpoint: Endpoint, delivery_id: str) -> client.Request:
    body = canonical_json(
        {
            "orbit_test": True,
            "message": "This is a test delivery from Orbit. Don't act on it.",
            "endpoint": endpoint.key,
            "at": clock.now().isoformat(),
        }
    )
    delivery = Delivery(delivery_id=delivery_id, content_type="application/json", attempt=1)
    request = endpoints.build_request(endpoint, delivery, body)
    return replace(
        request,
        headers={**request.headers, "X-Orbit-Test": "1"},
        total_timeout=min(request.total_timeout, LONGEST_SECONDS),
    )
