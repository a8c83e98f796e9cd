"""Whether a proposal can still be decided: also before the sweep has written that it ended.

A pending proposal is over once its time is, or once its document has another revision, is hidden
or gone: a renamed document is another one.
"""

from django.db.models import Case, CharField, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Now

from advisory.models import StrategyProposal
from advisory.states import Proposal
from orbit.models import Profile, RunProfile

Proposals = QuerySet[StrategyProposal]

#: The end reason of an expired proposal.
TIME_IS_OVER = "The time to decide it was over, and that means no."

PENDING = Q(state=Proposal.PENDING)
#: Its time is over.
EXPIRED = Q(expires_at__lte=Now())
#: The revision that it changes is still the current one.
CURRENT = Q(
    Exists(
        Profile.objects.filter(
            profile_id=OuterRef("profile_id"), revision=OuterRef("base_revision"), hidden=False
        )
    ),
    run_profile_id=None,
) | Q(
    Exists(
        RunProfile.objects.filter(
            run_profile_id=OuterRef("run_profile_id"),
            revision=OuterRef("base_revision"),
            hidden=False,
        )
    ),
    run_profile_id__isnull=False,
)
#: Pending, and can be decided.
OPEN = PENDING & ~(Q(expires_at__isnull=False) & EXPIRED) & CURRENT


def overdue() -> Proposals:
    """Return the pending proposals whose time is over."""
    return StrategyProposal.objects.filter(PENDING & EXPIRED)


def outdated() -> Proposals:
    """Return the pending proposals whose document has moved on."""
    return StrategyProposal.objects.filter(PENDING).exclude(CURRENT)


def with_state(rows: Proposals) -> Proposals:
    """Return ``rows`` with their state of now as ``shown_state``."""
    return rows.annotate(
        shown_state=Case(
            When(~PENDING, then=F("state")),
            When(EXPIRED, then=Value(str(Proposal.EXPIRED))),
            When(CURRENT, then=Value(str(Proposal.PENDING))),
            default=Value(str(Proposal.SUPERSEDED)),
            output_field=CharField(),
        )
    )


def shown(state: Proposal) -> Q:
    """Return the condition for the proposals whose state of now is ``state``."""
    if state == Proposal.PENDING:
        return OPEN
    if state == Proposal.EXPIRED:
        return Q(state=state) | (PENDING & EXPIRED)
    if state == Proposal.SUPERSEDED:
        not_expired = Q(expires_at=None) | Q(expires_at__gt=Now())
        return Q(state=state) | (PENDING & not_expired & ~CURRENT)
    return Q(state=state)
