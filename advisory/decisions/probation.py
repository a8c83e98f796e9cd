"""Probation: an approval that ends by itself unless a reviewer confirms it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from django.db.models.functions import Now

from advisory.decisions import decidable
from advisory.errors import OwnProposal
from advisory.models import Probation, StrategyProposal
from advisory.proposals import documents, reading
from advisory.states import PROBATION
from advisory.states import Probation as Status
from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel import clock
from governance.kernel.errors import Kind, OrbitError
from governance.namespaces import stops
from orbit.profiles import edit

MOST_CYCLES = 10_000
FURTHEST = timedelta(days=400)


class ProbationInvalid(OrbitError):
    """A probation has cycles (1 to 10000), or a future time at most 400 days ahead, or both."""

    code, kind = "invalid_probation", Kind.INVALID


class NoProbation(OrbitError):
    """This proposal was not approved on probation."""

    code, kind = "no_probation", Kind.CONFLICT


class ProbationOver(OrbitError):
    """This probation has ended already."""

    code, kind = "probation_over", Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class Terms:
    """When a probation ends: after ``cycles``, or at ``until``, whichever is first.

    Raises ProbationInvalid.
    """

    cycles: int | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        errors = []
        if self.cycles is None and self.until is None:
            errors.append(("/probation", "Give cycles, until, or both."))
        if self.cycles is not None and not 1 <= self.cycles <= MOST_CYCLES:
            errors.append(("/probation/cycles", f"Must be 1 to {MOST_CYCLES}."))
        if self.until is not None and not _is_ahead(self.until):
            errors.append(
                (
                    "/probation/until",
                    "Must be a future time with its zone, such as 2026-01-31T06:00:00Z, "
                    f"at most {FURTHEST.days} days ahead.",
                )
            )
        if errors:
            raise ProbationInvalid(
                errors=[{"pointer": pointer, "detail": detail} for pointer, detail in errors]
            )

    @property
    def sentence(self) -> str:
        """The terms in words."""
        parts = []
        if self.cycles is not None:
            parts.append(f"for {self.cycles} cycle{'s' if self.cycles > 1 else ''}")
        if self.until is not None:
            parts.append(f"until {stops.to_iso(self.until)}")
        return " or ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the terms for JSON."""
        return {"cycles": self.cycles, "until": stops.to_iso(self.until)}

    @classmethod
    def strictest(cls, stored: Iterable[dict[str, Any]]) -> Self | None:
        """Return the terms that end first of those that ``to_dict`` made; None without any.

        Raises ProbationInvalid if their end has passed.
        """
        terms = list(stored)
        cycles = [one["cycles"] for one in terms if one["cycles"] is not None]
        until = [datetime.fromisoformat(one["until"]) for one in terms if one["until"] is not None]
        return cls(min(cycles, default=None), min(until, default=None)) if terms else None


def start(
    proposal: StrategyProposal, terms: Terms, *, applied_revision: int, actor: Actor
) -> Probation:
    """Put the approval of ``proposal`` on probation, in the transaction that applies it.

    At its end the revision comes back against which the proposal was made.
    """
    return Probation.objects.create(
        proposal=proposal,
        cycles=terms.cycles,
        until=terms.until,
        fallback_revision=proposal.base_revision,
        applied_revision=applied_revision,
        asked_by=actor.name,
    )


def confirm(proposal_id: UUID, *, actor: Actor, reason: str) -> Probation:
    """End the probation of ``proposal_id``: the change stays.

    A reviewer may confirm who may decide the proposal, so not its author. Raises NotAllowed,
    ProposalUnknown, OwnProposal, NoProbation, ProbationOver, ReasonInvalid.
    """
    actor.require(Scope.REVIEW)
    proposal = reading.find(proposal_id, actor=actor)
    reason = stops.clean_reason(reason)
    if reading.is_own(proposal, actor=actor):
        raise OwnProposal("This is your own proposal: another reviewer has to confirm it.")
    with audit.transaction():
        # The lock decides between this and the end.
        probation = Probation.objects.select_for_update().filter(pk=proposal_id).first()
        if probation is None:
            raise NoProbation
        if probation.status != Status.RUNNING:
            raise _over(probation)
        kind, name = documents.document_of(proposal)
        edit.ensure_sees_all(kind, name, actor=actor)
        decidable.ensure_still_allowed(proposal, actor)
        PROBATION.move(
            Probation.objects.filter(pk=proposal_id),
            Status.CONFIRMED,
            ended_at=Now(),
            ended_by=actor.name,
            ended_by_user=actor.user_id,
            end_reason=reason,
        )
        audit.record(
            Action.PROBATION_CONFIRMED,
            actor=actor.name,
            object_id=str(proposal_id),
            namespace=proposal.namespace,
            before={"status": str(Status.RUNNING)},
            after={"status": str(Status.CONFIRMED), "revision": probation.applied_revision},
            reason=reason,
        )
    return Probation.objects.get(pk=proposal_id)


def _over(probation: Probation) -> ProbationOver:
    words = {
        Status.CONFIRMED: "The change was confirmed",
        Status.ROLLED_BACK: f"Revision {probation.fallback_revision} came back",
        Status.SKIPPED: "The probation ended without a roll-back",
    }[Status(probation.status)]
    assert probation.ended_at is not None  # noqa: S101 - a constraint of the table
    return ProbationOver(
        f"{words} at {probation.ended_at:%Y-%m-%d %H:%M:%S} UTC by {probation.ended_by}: "
        f"{probation.end_reason}",
        probation=probation.status,
        ended_by=probation.ended_by,
        ended_at=stops.to_iso(probation.ended_at),
    )


def _is_ahead(moment: datetime) -> bool:
    now = clock.read()
    return moment.tzinfo is not None and now < moment <= now + FURTHEST
