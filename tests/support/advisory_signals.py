"""Signals of advice, as a computation leaves them."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from advisory.models import AdvisorySignal, AutonomyAction, SignalComputation
from governance.kernel import clock
from governance.kernel.identifiers import uuid7

WINDOW, BASELINE = timedelta(days=7), timedelta(days=21)

#: By profile and namespace: signal and confidence.
Found = Mapping[tuple[str, str], tuple[str, float]]


def policy(name: str = "broken", **members: Any) -> dict[str, Any]:
    """Return a policy that disables the profile ``daily`` after one bad window in ``eu``."""
    return {
        "name": name,
        "when": {"signal": "low_performance", "windows": 1, "min_confidence": 0.9},
        "do": "disable_profile",
        "profiles": ["daily"],
        "namespaces": ["eu"],
        "max_per_day": 3,
        **members,
    }


def store(found: Found, *, to: datetime | None = None, length: timedelta = WINDOW) -> UUID:
    """Store one computation whose window ends at ``to`` (now); return its id."""
    to = clock.read() if to is None else to
    computation = SignalComputation.objects.create(
        id=uuid7(),
        baseline_from=to - length - BASELINE,
        window_from=to - length,
        window_to=to,
        actor="orbit",
        signals=len(found),
    )
    AdvisorySignal.objects.bulk_create(
        AdvisorySignal(
            id=uuid7(),
            computation=computation,
            profile_id=profile_id,
            namespace=namespace,
            signal=signal,
            confidence=confidence,
            method="as a test says",
            window_from=to - length,
            window_to=to,
            evidence={},
            recommendation="",
        )
        for (profile_id, namespace), (signal, confidence) in found.items()
    )
    return computation.id


def action(
    profile_id: str, namespace: str, policy: str = "broken", *, day: date | None = None
) -> AutonomyAction:
    """Store an action of autonomy, without what it did."""
    computation = store({(profile_id, namespace): ("low_performance", 0.99)})
    return AutonomyAction.objects.create(
        id=uuid7(),
        policy=policy,
        document={},
        profile_id=profile_id,
        namespace=namespace,
        signal=AdvisorySignal.objects.get(computation=computation),
        day=day or clock.read().date(),
        number=1 + AutonomyAction.objects.count(),
        base_revision=1,
        made_revision=2,
        reason="because",
    )
