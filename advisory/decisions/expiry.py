"""Proposals that end without a decision: their time is over, or their document has moved on."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from advisory.decisions import cycles
from advisory.proposals import validity
from advisory.states import Proposal
from governance import audit
from governance.access.actors import SYSTEM
from governance.audit.actions import Action
from governance.kernel import sql

EXPIRE = sql.load(__name__, "expire_proposals")
SUPERSEDE = sql.load(__name__, "supersede_proposals", document_of=cycles.DOCUMENT_OF)

_FIRST = UUID(int=0)
_PAGE = 1_000
#: Each has an audit entry, so this bounds the time that the chain is locked.
_MOST = 100


def expire_due(*, limit: int = _MOST) -> int:
    """End at most ``limit`` pending proposals whose time is over; return how many."""
    with audit.transaction():
        ended = EXPIRE.rows(most=limit, reason=validity.TIME_IS_OVER)
        _record(Proposal.EXPIRED, ended)
    return len(ended)


@dataclass(slots=True)
class Superseding:
    """Where a process looks next among the pending proposals."""

    after: UUID = _FIRST

    def end_outdated(self, *, page: int = _PAGE, limit: int = _MOST) -> int:
        """Look at the next ``page`` pending proposals; end those that are outdated, at most
        ``limit``, and return how many.
        """
        with audit.transaction():
            rows = SUPERSEDE.rows(after=self.after, page=page, most=limit)
            ended = [row[2:] for row in rows if row[2] is not None]
            _record(Proposal.SUPERSEDED, ended)
        edge, size = rows[0][:2]
        if len(ended) < limit:  # else there may be more on this page
            self.after = edge if size == page else _FIRST
        return len(ended)


def _record(state: Proposal, ended: Iterable[tuple[UUID, str | None, str]]) -> None:
    for proposal_id, namespace, reason in ended:
        audit.record(
            Action.PROPOSAL_ENDED,
            actor=SYSTEM.name,
            object_id=str(proposal_id),
            namespace=namespace,
            before={"state": str(Proposal.PENDING)},
            after={"state": str(state)},
            reason=reason,
        )
