"""What followed a proposal, as fields of its answer."""

from advisory.decisions import detail
from advisory.models import StrategyProposal
from advisory.states import Forecast, Probation
from governance.rest.fields import Field, Fields, computed, optional
from governance.rest.schemas import FREE, TEXT, TIME, WHOLE, maybe, one_of

PROBATION = Fields(
    "Probation",
    status=one_of(Probation),
    cycles=maybe(WHOLE),
    cycles_ended=computed(maybe(WHOLE)),
    until=maybe(TIME),
    asked_by=TEXT,
    started_at=TIME,
    applied_revision=WHOLE,
    fallback_revision=WHOLE,
    ended_at=maybe(TIME),
    ended_by=TEXT,
    end_reason=TEXT,
    made_revision=maybe(WHOLE),
)
OUTCOME = Fields(
    "ForecastOutcome",
    status=one_of(Forecast),
    reason=TEXT,
    cycles=WHOLE,
    measured=FREE,
    started_at=TIME,
    ended_at=maybe(TIME),
)
HIT_RATE = Fields(
    "HitRate",
    rule=maybe(TEXT),
    came_true=WHOLE,
    did_not=WHOLE,
    cannot_tell=WHOLE,
    sentence=TEXT,
)
TRACK_RECORD = Fields(
    "TrackRecord", engine=computed(HIT_RATE.schema), rule=computed(maybe(HIT_RATE.schema))
)
#: Of a proposal's own answer; lists don't have them.
FIELDS: dict[str, Field] = {
    "probation": optional(computed(PROBATION.schema)),
    "forecast_outcome": optional(computed(OUTCOME.schema)),
    "track_record": optional(computed(TRACK_RECORD.schema)),
}


def values(proposal: StrategyProposal) -> dict[str, object]:
    """Return the values of ``FIELDS``."""
    followed = detail.follow_up(proposal)
    probation, outcome, rule = followed.probation, followed.forecast_outcome, followed.rule
    return {
        "probation": probation and PROBATION.of(probation, cycles_ended=followed.cycles_ended),
        "forecast_outcome": outcome and OUTCOME.of(outcome),
        "track_record": TRACK_RECORD.of(
            None,
            engine=HIT_RATE.of(followed.engine),
            rule=rule and HIT_RATE.of(rule),
        ),
    }
