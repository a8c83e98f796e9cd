"""The cycles that pending proposals refer to. Retention keeps them: a backtest reads them."""

from advisory.models import StrategyProposal
from advisory.states import Proposal
from orbit.retention.exemptions import Referred


def of_pending() -> list[Referred]:
    """Return the cycles of the signals' windows and baselines; without a signal, none."""
    rows = StrategyProposal.objects.filter(
        state=str(Proposal.PENDING), signal__isnull=False
    ).values_list(
        "profile_id",
        "signal__namespace",
        "signal__computation__baseline_from",
        "signal__window_to",
    )
    return [Referred(*row) for row in rows.distinct()]
