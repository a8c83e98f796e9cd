"""``/strategy-proposals/{proposal_id}/backtest``: a proposal against what is on record."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from advisory.backtest import run
from advisory.backtest.replay import FIGURES, NOT_RUN
from advisory.backtest.result import Verdict
from advisory.errors import ProposalUnknown
from advisory.proposals import reading
from advisory.states import Proposal
from governance.rest import queries
from governance.rest.fields import Fields, field
from governance.rest.resources import Resource, operation
from governance.rest.schemas import (
    ANYTHING,
    FREE,
    NUMBER,
    TEXT,
    TIME,
    TRUTH,
    WHOLE,
    many,
    maybe,
    one_of,
    record,
)
from governance.rest.schemas import UUID as ID
from orbit.states import CYCLE

_QUERY: dict[str, queries.Reader] = {
    "cycles": queries.number(1, run.MOST_CYCLES),
    "until": queries.moment,
}
_STATUSES = sorted(CYCLE.final)
_PROPOSAL = Fields(
    id=ID,
    profile_id=TEXT,
    run_profile_id=maybe(TEXT),
    state=field(one_of(Proposal), "shown_state"),
    patch=many(FREE),
    rationale=TEXT,
    author=TEXT,
)
_CYCLES = record(
    read=WHOLE,
    compared=WHOLE,
    **{str(verdict): WHOLE for verdict in Verdict},
    left_out=FREE,
    hidden=TRUTH,
    first_at=maybe(TIME),
    last_at=maybe(TIME),
)
_DIFFERING = record(
    cycle_run_id=ID,
    namespace=TEXT,
    run_profile_id=TEXT,
    created_at=TIME,
    verdict=one_of(Verdict),
    status=one_of(_STATUSES),
    would_be=many(one_of([NOT_RUN, *_STATUSES])),
    why=many(TEXT),
)
_FIGURE = record(before=NUMBER, least=NUMBER, most=maybe(NUMBER))
_BACKTEST = record(
    "Backtest",
    **_PROPOSAL.schema["properties"],
    proposal_id=ID,
    most=WHOLE,
    until=TIME,
    changes=many(
        record(pointer=TEXT, before=ANYTHING, after=ANYTHING, optional=("before", "after"))
    ),
    cycles=_CYCLES,
    # Without a record there are none.
    figures=record(optional=FIGURES, **dict.fromkeys(FIGURES, _FIGURE)),
    waiting=record(longer=WHOLE, shorter=WHOLE, median_change_seconds=maybe(NUMBER)),
    ticks=maybe(record(recorded=WHOLE, kept=WHOLE, gone=WHOLE, new=WHOLE)),
    differing=many(_DIFFERING),
    cannot_tell=many(TEXT),
)


class ProposalBacktest(Resource):
    @operation(
        summary="Run a proposal against the cycles on record",
        query=_QUERY,
        answers={200: _BACKTEST},
        refusals=(ProposalUnknown, run.TooLarge),
    )
    def get(self, request: Request, proposal_id: UUID) -> Response:
        """Which of the last `cycles` ended cycles (200) would have run otherwise, and what the
        record can't tell. `figures` have the value on record and bounds of the one with the patch.

        With the `until` of an earlier answer, cycles that have ended since don't count.
        """
        proposal = reading.find(proposal_id, actor=self.actor)
        backtest = run.run(
            proposal,
            cycles=self.query.get("cycles", run.DEFAULT_CYCLES),
            until=self.query.get("until"),
            actor=self.actor,
        )
        return Response({**_PROPOSAL.of(proposal), **backtest.to_dict()})
