"""Signals of advice, as a computation leaves them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from advisory.models import AdvisorySignal, SignalComputation
from governance.kernel import clock
from governance.kernel.identifiers import uuid7

WINDOW, BASELINE = timedelta(days=7), timedelta(days=21)

#: By profile and namespace: signal and confidence.
Found = Mapping[tuple[str, str], tuple[str, float]]


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
