"""Read proposals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from advisory.errors import ProposalUnknown
from advisory.models import ProposalDecision, StrategyProposal
from advisory.proposals import validity
from advisory.proposals.validity import Proposals
from advisory.states import Proposal
from governance.access.actors import Actor

#: Columns that an index finds in the order of the list; and states, whether swept or not.
_INDEXED = ("profile_id", "namespace")
_INDEXED_STATES = {Proposal.PENDING, Proposal.APPROVED, Proposal.REJECTED}
#: Counts stop here.
MOST_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Counts:
    """What is in the inbox of an actor; both stop at ``MOST_COUNTED`` + 1."""

    #: Proposals that can be decided.
    pending: int
    #: Those of them that the actor may decide: neither their own nor decided by them already.
    waiting: int


def visible(actor: Actor) -> Proposals:
    """Return the proposals that ``actor`` sees, with ``shown_state``."""
    return validity.with_state(StrategyProposal.objects.filter(actor.filter()))


def find(proposal_id: UUID, *, actor: Actor) -> StrategyProposal:
    """Return a proposal with ``shown_state`` and its decisions. Raises ProposalUnknown."""
    proposal = visible(actor).prefetch_related("decisions").filter(pk=proposal_id).first()
    if proposal is None:
        raise ProposalUnknown(f"There is no strategy proposal {proposal_id}.")
    return proposal


def listed(
    actor: Actor, *, state: Proposal | str | None = None, **columns: str | None
) -> Proposals:
    """Return the proposals that ``actor`` sees and that match, for a list by keyset.

    ``columns`` are compared (None: any). The caller orders by ``created_at`` and ``id``.
    """
    rows = visible(actor).prefetch_related("decisions")
    if state is not None:
        rows = rows.filter(validity.shown(Proposal(state)))
    return rows.filter(**_compared(columns))


def scanned(*, state: Proposal | str | None = None, **columns: str | None) -> Proposals:
    """Return what a page of ``listed`` looks at: the rows without filters that have no index."""
    rows = StrategyProposal.objects.all()
    if state in _INDEXED_STATES:
        rows = rows.filter(state=state)
    return rows.filter(**_compared({name: columns.get(name) for name in _INDEXED}))


def _compared(columns: Mapping[str, str | None]) -> dict[str, Any]:
    return {name: value for name, value in columns.items() if value is not None}


def counts(actor: Actor) -> Counts:
    """Return how many proposals ``actor`` sees that are open, and could decide."""
    rows = StrategyProposal.objects.filter(actor.filter()).filter(validity.OPEN)
    return Counts(pending=_bounded(rows), waiting=_bounded(rows.filter(undecided_by(actor))))


def undecided_by(actor: Actor) -> Q:
    """Return the condition for proposals that ``actor`` neither wrote nor decided."""
    own, decided = Q(author=actor.name), Q(decided_by=actor.name)
    if actor.user_id is not None:
        own |= Q(author_user__isnull=False, author_user=actor.user_id)
        decided |= Q(decided_by_user=actor.user_id)
    return ~own & ~Q(Exists(ProposalDecision.objects.filter(decided, proposal=OuterRef("pk"))))


def is_own(proposal: StrategyProposal, *, actor: Actor) -> bool:
    """Tell whether ``actor`` wrote ``proposal``: by name, or by user if that was renamed."""
    same_user = actor.user_id is not None and actor.user_id == proposal.author_user
    return same_user or actor.name == proposal.author


def _bounded(rows: Proposals) -> int:
    return rows.order_by()[: MOST_COUNTED + 1].count()
