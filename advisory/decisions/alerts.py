"""How the conditions of proposals are read."""

from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from advisory.models import StrategyProposal
from advisory.states import Proposal
from governance.alerts.conditions import MOST, Condition, Look, Observation, Reader


def proposal_expiring() -> Look:
    """Return the pending proposals that expire within ORBIT_ALERT_PROPOSAL_HOURS."""
    soon = Now() + timedelta(hours=settings.ORBIT_ALERT_PROPOSAL_HOURS)
    rows = StrategyProposal.objects.filter(
        state=Proposal.PENDING, expires_at__gt=Now(), expires_at__lte=soon
    ).order_by("expires_at")
    observations = [
        Observation(
            str(row.pk),
            f"The proposal {row.title!r} expires at {row.expires_at:%Y-%m-%d %H:%M} UTC",
            row.namespace,
            f"/admin/advisory/strategyproposal/{row.pk}/change/",
        )
        for row in rows[: MOST + 1]
    ]
    return Look.of(observations)


READERS: dict[Condition, Reader] = {Condition.PROPOSAL_EXPIRING: proposal_expiring}
