"""One delivery: its payload, its attempts, what comes next, and the jobs of its family."""

import math
import shlex
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.db.models import BinaryField, F
from django.db.models.functions import Length, Substr

from governance import display
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.kernel import clock, sql
from governance.kernel.errors import Kind, OrbitError
from governance.namespaces import gate
from orbit.dispatch import endpoint_drift, endpoints
from orbit.dispatch.endpoints import Delivery, Endpoint
from orbit.models import DeliveryReceipt, DispatchJob, EndpointState, NormalizationItem
from orbit.records import pruned
from orbit.states import Job, Letter

_FAMILY = sql.load(__name__, "job_family")
#: So many attempts and jobs of a family are shown, and bytes of a payload.
MAX_ATTEMPTS, MAX_FAMILY, EXCERPT = 200, 50, 4096
#: What replaces secrets in a command.
MASKED = "MASKED"
_LONG_STEP = 16


class JobUnknown(OrbitError):
    """There is no such dispatch job."""

    code, kind = "unknown_dispatch_job", Kind.MISSING


@dataclass(frozen=True, slots=True)
class FamilyMember:
    """A job of the family, and its dead letter if it has one."""

    id: UUID
    status: str
    attempts: int
    delivery_id: UUID
    created_at: datetime
    letter_id: UUID | None
    letter_status: str | None
    resolved_by: str | None
    resolved_reason: str | None


@dataclass(frozen=True, slots=True)
class Payload:
    """The facts of a payload, and its first bytes."""

    content_type: str
    sha256: str
    size: int
    excerpt: bytes


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """A job with all that its page shows."""

    job: DispatchJob
    payload: Payload
    attempts: list[DeliveryReceipt]
    family: list[FamilyMember]
    #: What comes next, and why.
    prospect: str
    #: Sends the delivery by hand, without secrets. Empty: the user may not, or no key opens it.
    curl: str

    @property
    def letter(self) -> FamilyMember | None:
        """The job itself as a dead letter."""
        return next((m for m in self.family if m.id == self.job.pk and m.letter_id), None)


def read(job_id: UUID, *, actor: Actor) -> DeliveryPage:
    """Return a delivery that ``actor`` sees. Raises JobUnknown."""
    jobs = DispatchJob.objects.filter(actor.filter("cycle__namespace"), pk=job_id)
    jobs = jobs.select_related("cycle", "snapshot__state").defer("cycle__input", "cycle__context")
    job = jobs.first()
    if job is None:
        raise JobUnknown(pruned.unknown("dispatch job", job_id))
    payload = NormalizationItem.objects.filter(pk=job.normalization_item_id).values_list(
        "content_type",
        "sha256",
        Length("payload"),
        # A payload can have many megabytes: the database cuts it.
        Substr("payload", 1, EXCERPT, output_field=BinaryField()),
    )
    content_type, sha256, size, excerpt = payload.get()
    family = [FamilyMember(*row) for row in _FAMILY.rows(job=job.pk, most=MAX_FAMILY)]
    letter = next((member for member in family if member.id == job.pk), None)
    refusal = gate.refusals([job.cycle.namespace_id]).get(job.cycle.namespace_id)
    attempts = DeliveryReceipt.objects.filter(job=job).order_by("attempt")
    endpoint = endpoint_drift.open_snapshot(job.snapshot) if actor.may(Scope.OPERATE) else None
    return DeliveryPage(
        job,
        Payload(content_type, sha256, size, bytes(excerpt)),
        list(attempts[:MAX_ATTEMPTS]),
        family,
        prospect(job, letter, job.snapshot.state, refusal.detail if refusal else ""),
        curl(job, content_type, endpoint) if endpoint else "",
    )


def body(job_id: UUID, *, actor: Actor) -> bytes:
    """Return a delivery's payload, byte for byte. Raises JobUnknown."""
    jobs = DispatchJob.objects.filter(actor.filter("cycle__namespace"), pk=job_id)
    row = jobs.values_list(F("normalization_item__payload")).first()
    if row is None:
        raise JobUnknown(pruned.unknown("dispatch job", job_id))
    return bytes(row[0])


def prospect(
    job: DispatchJob, letter: FamilyMember | None, state: EndpointState | None, stop: str
) -> str:
    """Return what comes next for the delivery, and why. ``stop``: why its namespace waits."""
    if job.status == Job.DELIVERED:
        return f"Delivered with attempt {job.attempts}. It is never sent again."
    if job.status == Job.CANCELLED:
        return "Cancelled with its cycle. It isn't sent."
    if job.status == Job.DEAD:
        return _prospect_of_dead(job, letter)
    if job.status == Job.SENDING:
        return f"Attempt {job.attempts} is in flight."
    left = max(0, job.max_retries - job.spent)
    due = job.next_attempt_at or clock.now()
    seconds = (due - clock.now()).total_seconds()
    when = f"in {display.duration(math.ceil(seconds))}" if seconds > 0 else "now"
    times = "time" if left == 1 else "times"
    sentence = f"Attempt {job.attempts + 1} is due {when}. It may be retried {left} more {times}."
    if stop:
        return f"{sentence} It waits: {stop}"
    if state is not None and state.opened_at is not None:
        return f"{sentence} The endpoint is down, so it waits for a probe and spends no retry."
    return sentence


def _prospect_of_dead(job: DispatchJob, letter: FamilyMember | None) -> str:
    tries = f"Given up after {job.attempts} attempt{'s' if job.attempts != 1 else ''}"
    if letter is None or letter.letter_status is None:
        return f"{tries}: {job.last_error}. It is never retried."
    if letter.letter_status == Letter.OPEN:
        return f"{tries}: {job.last_error}. Orbit never retries it; requeue the dead letter."
    status = letter.letter_status.replace("_", " ")
    by = f" by {letter.resolved_by}" if letter.resolved_by else ""
    return f"{tries}: {job.last_error}. The dead letter was {status}{by}."


def curl(job: DispatchJob, content_type: str, endpoint: Endpoint) -> str:
    """Return the command that sends the delivery by hand; its secrets are masked."""
    masked = replace(
        endpoint,
        token=MASKED,
        headers=dict.fromkeys(endpoint.headers, MASKED),
        signing_secret=None,
    )
    cycle: Any = job.cycle
    delivery = Delivery(
        delivery_id=str(job.delivery_id),
        content_type=content_type,
        attempt=job.attempts + 1,
        namespace=cycle.namespace_id,
        profile_id=cycle.profile_id or "",
        run_profile_id=cycle.run_profile_id or "",
        cycle_id=str(cycle.pk),
    )
    request = endpoints.build_request(masked, delivery, b"")
    headers = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in request.headers.items()]
    address = shlex.quote(_masked_url(endpoint.url))
    parts = [f"curl -X {endpoint.method} {address}", *headers, f"--data-binary @{job.pk}.bin"]
    return " \\\n  ".join(parts)


def _masked_url(url: str) -> str:
    """Return a url without credentials, query and long steps: they may be secrets."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    steps = [MASKED if len(step) >= _LONG_STEP else step for step in parts.path.split("/")]
    return f"{parts.scheme}://{host}{'/'.join(steps)}{'?' + MASKED if parts.query else ''}"
