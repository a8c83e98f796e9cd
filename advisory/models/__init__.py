"""The tables of advice. They refer to cycles, events and profiles by business ids, so that those
may be pruned or hidden without them.
"""

from advisory.models.autonomy import AutonomyAction
from advisory.models.decision import ApprovalPolicy, ProposalDecision
from advisory.models.follow_up import Probation, TrackRecord
from advisory.models.proposal import StrategyProposal
from advisory.models.signal import AdvisorySignal, SignalComputation

__all__ = [
    "AdvisorySignal",
    "ApprovalPolicy",
    "AutonomyAction",
    "Probation",
    "ProposalDecision",
    "SignalComputation",
    "StrategyProposal",
    "TrackRecord",
]
