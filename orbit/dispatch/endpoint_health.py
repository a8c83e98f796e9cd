"""How endpoints do: success, latency, circuit, load. For users of the whole workspace."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from governance.access.actors import Actor
from governance.kernel import clock, sql
from orbit.dispatch import endpoint_drift, endpoints, trial
from orbit.dispatch.endpoints import DEFAULT_KEY, Endpoint
from orbit.dispatch.trial import PastTest
from orbit.errors import EndpointUnknown
from orbit.models import EndpointSnapshot, EndpointState, RunProfile

_SAMPLE = sql.load(__name__, "sample_attempts")
_OPEN_JOBS = sql.load(__name__, "open_jobs_by_endpoint")
_LAST_ERRORS = sql.load(__name__, "last_errors")

#: The attempts of each hour that are looked at.
PER_HOUR = 400
#: Open jobs are counted up to here.
MAX_OPEN = 10_000
MAX_LISTED = 200
_ERRORS, _LOOKED_AT, _SNAPSHOTS, _NAMED = 20, 1_000, 20, 3
#: An endpoint that delivers a smaller share than this is failing.
_FEW = 0.9
_NO_SAMPLE = (0, 0, 0, 0, None, None)
_WORST_FIRST = {"open": 0, "failing": 1, "held": 2}


@dataclass(frozen=True, slots=True)
class Rate:
    """Attempts that were delivered, of those that ended."""

    ended: int = 0
    delivered: int = 0

    @property
    def percent(self) -> float | None:
        """The share in percent; None without attempts."""
        return None if not self.ended else 100 * self.delivered / self.ended


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """One endpoint. Latencies are milliseconds."""

    key: str
    host: str
    is_configured: bool
    #: ``open``, ``held``, ``closed``, or ``unused``: nothing was ever sent.
    circuit: str
    since: datetime | None
    probe_at: datetime | None
    hold_until: datetime | None
    last_error: str
    cap: int | None
    rate_per_second: float | None
    hour: Rate
    day: Rate
    p50: float | None
    p95: float | None
    in_flight: int
    queued: int

    @property
    def state(self) -> str:
        """The circuit; ``failing`` if it is closed and much of the last hour failed."""
        is_failing = self.hour.ended and self.hour.delivered < self.hour.ended * _FEW
        return "failing" if self.circuit == "closed" and is_failing else self.circuit


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """A failed attempt of the endpoint."""

    job_id: UUID
    attempt: int
    at: datetime
    status: str
    status_code: int | None
    error_class: str | None
    error: str
    latency_ms: float | None


@dataclass(frozen=True, slots=True)
class EndpointDetail:
    """One endpoint with all that its page shows."""

    health: EndpointHealth
    errors: list[FailedAttempt]
    run_profiles: list[RunProfile]
    tests: list[PastTest]
    #: Since when its token is used; None: nothing was sent with it yet, or it isn't configured.
    token_since: datetime | None
    is_signed: bool


def listed(actor: Actor) -> list[EndpointHealth]:
    """Return all endpoints that are configured or were used, the worst first. Raises NotAllowed."""
    actor.require_workspace()
    healths = _healths(EndpointState.objects.order_by("endpoint_key", "host")[:MAX_LISTED])
    return sorted(healths, key=lambda health: _WORST_FIRST.get(health.state, len(_WORST_FIRST)))


def sentence(healths: Sequence[EndpointHealth]) -> str:
    """Return how all endpoints do, in words."""
    for state, word in (("open", "down"), ("failing", "failing")):
        keys = [health.key for health in healths if health.state == state]
        if keys:
            names = ", ".join(keys[:_NAMED]) + (" and more" if len(keys) > _NAMED else "")
            return f"{names} {'is' if len(keys) == 1 else 'are'} {word}"
    return "No endpoint is down" if healths else "No endpoint is configured"


def read(key: str, *, actor: Actor) -> EndpointDetail:
    """Return one endpoint. Raises NotAllowed and EndpointUnknown."""
    actor.require_workspace()
    states = EndpointState.objects.filter(endpoint_key=key).order_by("host")[:MAX_LISTED]
    healths = [health for health in _healths(states) if health.key == key]
    if not healths:
        raise EndpointUnknown(f"There is no endpoint {key[:100]!r}.")
    endpoint = endpoints.configured().get(key)
    host = endpoint.host if endpoint else healths[0].host
    errors = _LAST_ERRORS.rows(key=key, looked_at=_LOOKED_AT, limit=_ERRORS)
    return EndpointDetail(
        next((health for health in healths if health.host == host), healths[0]),
        [FailedAttempt(*row) for row in errors],
        _run_profiles(key),
        trial.past(key),
        _token_since(endpoint) if endpoint else None,
        bool(endpoint and endpoint.signing_secret),
    )


def _healths(states: Iterable[EndpointState]) -> list[EndpointHealth]:
    configured = endpoints.configured()
    rows = {(state.endpoint_key, state.host): state for state in states}
    used = {(endpoint.key, endpoint.host): None for endpoint in configured.values()}
    samples = {row[0]: row[1:] for row in _SAMPLE.rows(per_hour=PER_HOUR)}
    open_jobs = {row[0]: row[1:] for row in _OPEN_JOBS.rows(most=MAX_OPEN)}
    healths = []
    for key, host in sorted({**used, **rows}):
        state = rows.get((key, host))
        circuit = _circuit(state)
        state = state or EndpointState(
            max_concurrency=configured[key].max_concurrency,
            rate_per_second=configured[key].rate_per_second,
        )
        hour, hour_delivered, day, day_delivered, p50, p95 = samples.get(key, _NO_SAMPLE)
        in_flight, queued = open_jobs.get(key, (0, 0))
        healths.append(
            EndpointHealth(
                key,
                host,
                key in configured and configured[key].host == host,
                circuit,
                state.opened_at,
                state.probe_at,
                state.hold_until,
                state.last_error,
                state.max_concurrency,
                state.rate_per_second,
                Rate(hour, hour_delivered),
                Rate(day, day_delivered),
                p50,
                p95,
                in_flight,
                queued,
            )
        )
    return healths


def _circuit(state: EndpointState | None) -> str:
    if state is None:
        return "unused"
    if state.opened_at is not None:
        return "open"
    is_held = state.hold_until is not None and state.hold_until > clock.now()
    return "held" if is_held else "closed"


def _run_profiles(key: str) -> list[RunProfile]:
    uses = Q(document__distribution_targets__contains=[key])
    if key == DEFAULT_KEY:
        uses |= Q(document__distribution_targets=[])
        uses |= Q(document__distribution_targets__isnull=True)
    return list(RunProfile.objects.filter(uses).order_by("run_profile_id")[:MAX_LISTED])


def _token_since(endpoint: Endpoint) -> datetime | None:
    """Return when the first of the newest snapshots with today's token was made."""
    since = None
    newest = EndpointSnapshot.objects.filter(endpoint_key=endpoint.key).order_by("-created_at")
    for snapshot in newest[:_SNAPSHOTS]:
        then = endpoint_drift.open_snapshot(snapshot)
        if then is None or then.token != endpoint.token:
            break
        since = snapshot.created_at
    return since
