"""What of a backtest a reviewer sees beside a proposal, for the digest of what was seen."""

from datetime import datetime
from typing import Any

from advisory.backtest import run
from advisory.backtest.result import Backtest
from advisory.models import StrategyProposal
from governance.access.actors import Actor


def of(backtest: Backtest) -> dict[str, Any]:
    """Return its counts, the figures that change, and what it can't tell."""
    whole = backtest.to_dict()
    return {
        **{key: whole[key] for key in ("until", "most", "cycles", "waiting", "ticks")},
        "figures": {
            name: figure.to_dict() for name, figure in backtest.figures.items() if figure.changes
        },
        "cannot_tell": whole["cannot_tell"],
    }


def read(
    proposal: StrategyProposal, *, actor: Actor, until: datetime | None = None
) -> dict[str, Any]:
    """Return the summary of a backtest with the default number of cycles.

    The same ``until`` makes the same summary although new cycles have ended meanwhile: a digest
    that is compared later keeps it.
    """
    return of(run.run(proposal, actor=actor, until=until))
