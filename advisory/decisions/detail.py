"""What followed the approval of a proposal, for the doors."""

from dataclasses import dataclass

from advisory.decisions import probation_end, track_record
from advisory.decisions.track_record import HitRate
from advisory.models import Probation, StrategyProposal, TrackRecord
from advisory.states import Probation as Status
from advisory.states import Proposal


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What followed a proposal, and how often the engine was right before."""

    probation: Probation | None
    #: While a probation of some cycles runs: how many have counted.
    cycles_ended: int | None
    #: Whether its own forecast came true.
    forecast_outcome: TrackRecord | None
    engine: HitRate
    #: Of the rule that made it; None if a user wrote it.
    rule: HitRate | None


def follow_up(proposal: StrategyProposal) -> FollowUp:
    """Return what followed ``proposal``, which the caller has found visible."""
    probation, outcome = None, None
    if proposal.state == Proposal.APPROVED:
        probation = Probation.objects.filter(pk=proposal.pk).first()
        outcome = TrackRecord.objects.filter(pk=proposal.pk).first()
    counts = (
        probation is not None
        and probation.status == Status.RUNNING
        and probation.cycles is not None
    )
    return FollowUp(
        probation=probation,
        cycles_ended=probation_end.cycles_ended(proposal.pk) if counts else None,
        forecast_outcome=outcome,
        engine=track_record.hit_rate(),
        rule=track_record.hit_rate(proposal.rule) if proposal.rule else None,
    )
