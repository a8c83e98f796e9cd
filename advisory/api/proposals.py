"""``/strategy-proposals``, and ``/profiles/{profile_id}/strategy-proposals`` to generate them."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from advisory.api import follow_up
from advisory.autonomy import proposing
from advisory.decisions import digest
from advisory.errors import ProposalUnknown, Superseded
from advisory.proposals import checks, create, reading
from advisory.proposals.create import USERS_SCOPES
from advisory.proposals.patches import PatchInvalid
from advisory.signals.compute import SCOPES
from advisory.states import Proposal, Verdict
from governance.kernel import reasons
from governance.rest import pages, parsing, queries
from governance.rest.fields import Fields, computed, each, field, optional, page_of
from governance.rest.resources import Resource, operation
from governance.rest.schemas import (
    FREE,
    SHA256,
    TEXT,
    TIME,
    TRUTH,
    WHOLE,
    many,
    maybe,
    one_of,
)
from governance.rest.schemas import UUID as ID
from orbit.errors import ProfileUnknown, RunProfileUnknown
from orbit.profiles.kinds import PROFILE, RUN_PROFILE

_FILTERS: dict[str, queries.Reader] = {
    "state": queries.one_of(Proposal),
    "profile_id": queries.text,
    "run_profile_id": queries.text,
    "namespace": queries.text,
    "author": queries.text,
}
DECISION = Fields(
    verdict=one_of(Verdict),
    reason=TEXT,
    decided_by=TEXT,
    decided_at=TIME,
    seen_sha256=SHA256,
)
CHECK = Fields(code=TEXT, ok=TRUTH, required=TRUTH, text=TEXT)
PROPOSAL = Fields(
    "StrategyProposal",
    id=ID,
    profile_id=TEXT,
    run_profile_id=maybe(TEXT),
    state=field(one_of(Proposal), "shown_state"),
    patch=many(FREE),
    rationale=TEXT,
    author=TEXT,
    title=TEXT,
    base_revision=WHOLE,
    namespace=maybe(TEXT),
    rule=field(maybe(TEXT), lambda proposal: proposal.rule or None),
    signal_id=maybe(ID),
    evidence=FREE,
    forecast=maybe(FREE),
    requested_by=TEXT,
    required_approvals=WHOLE,
    decisions=each(DECISION, lambda proposal: proposal.decisions.all()),
    expires_at=maybe(TIME),
    created_at=TIME,
    ended_at=maybe(TIME),
    end_reason=TEXT,
    applied_revision=maybe(WHOLE),
    checks=optional(computed(many(CHECK.schema))),
    seen_sha256=optional(computed(SHA256)),
    **follow_up.FIELDS,
)
#: Checked by ``patches.parse``, whose refusal says more than a schema's.
_PATCH = {"type": "array", "description": "a JSON Patch (RFC 6902)"}
_BODY = parsing.closed_object(
    {
        "profile_id": parsing.NAME,
        "run_profile_id": parsing.NAME,
        "base_revision": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
        "patch": _PATCH,
        "rationale": parsing.REASON,
        "title": {"type": "string", "maxLength": 200},
    },
    required=("patch", "rationale"),
)


class ProfileProposals(Resource):
    @operation(
        summary="Generate proposals for a profile",
        scope=SCOPES,
        body=parsing.closed_object({}),
        answers={201: many(PROPOSAL.schema)},
        refusals=(ProfileUnknown, Superseded),
    )
    def post(self, request: Request, profile_id: str) -> Response:
        """One or more if its signals say `low_performance`, else none.

        Signals are computed for it, unless those of the last minute say so already. An equal
        proposal that is pending is answered instead of a new one. A disabled profile gets none.
        """
        self.body()
        generated = proposing.propose(profile_id, actor=self.actor)
        return Response([PROPOSAL.of(made.proposal) for made in generated.made], status=201)


class ProposalList(Resource):
    @operation(
        summary="List proposals",
        query={**_FILTERS, **pages.PARAMETERS},
        answers={200: page_of(PROPOSAL)},
    )
    def get(self, request: Request) -> Response:
        """Newest first. `state` is that of now: `expired` and `superseded` show at once.

        With filters other than `profile_id`, `namespace` and the states `pending`, `approved` and
        `rejected`, or for a user who is confined to namespaces, a page looks at 20,000 proposals:
        it may be short, even empty, while `next` goes on.
        """
        filters = queries.filters(self.query, _FILTERS)
        return pages.respond(
            request,
            reading.listed(self.actor, **filters),
            PROPOSAL.of,
            query=self.query,
            key=("created_at", "id"),
            scanned=reading.scanned(**filters),
        )

    @operation(
        summary="Propose a change",
        scope=USERS_SCOPES,
        body=_BODY,
        answers={200: PROPOSAL, 201: PROPOSAL},
        refusals=(
            ProfileUnknown,
            RunProfileUnknown,
            PatchInvalid,
            Superseded,
            reasons.ReasonInvalid,
        ),
    )
    def post(self, request: Request) -> Response:
        """Propose a change of the profile `profile_id`, or of the run profile `run_profile_id`.

        An equal proposal that is pending is answered with 200 instead. `base_revision` is the
        current one if it is left out; if it isn't the current one, the proposal is refused.
        """
        body = self.body()
        if ("profile_id" in body) == ("run_profile_id" in body):
            raise parsing.invalid("", "Name either profile_id or run_profile_id.")
        kind = PROFILE if "profile_id" in body else RUN_PROFILE
        made = create.propose(
            kind,
            body[kind.key],
            body["patch"],
            actor=self.actor,
            rationale=body["rationale"],
            title=body.get("title", ""),
            base_revision=body.get("base_revision"),
        )
        return Response(PROPOSAL.of(made.proposal), status=201 if made.created else 200)


class ProposalDetail(Resource):
    @operation(
        summary="Get a proposal",
        answers={200: PROPOSAL},
        refusals=(ProposalUnknown,),
    )
    def get(self, request: Request, proposal_id: UUID) -> Response:
        """With its decisions, the checks of now, and what followed its approval (`probation`,
        `forecast_outcome`); `track_record` is how often the engine was right before.

        While it is pending, `seen_sha256` stands for what you see of it, with its changes, checks
        and backtest. Send it with a decision.
        """
        proposal = reading.find(proposal_id, actor=self.actor)
        seen = None
        if proposal.state == Proposal.PENDING:
            seen = digest.seen(proposal, actor=self.actor)
        examined = checks.examine(proposal, actor=self.actor) if seen is None else seen.examined
        return Response(
            PROPOSAL.of(
                proposal,
                checks=[CHECK.of(check) for check in examined.checks],
                seen_sha256=None if seen is None else seen.sha256,
                **follow_up.values(proposal),
            )
        )
