"""What a reviewer sees before a decision: whether the proposal can still be approved."""

from dataclasses import dataclass
from typing import Any

from advisory.models import StrategyProposal
from advisory.proposals import create, documents, reading, results
from advisory.proposals.patches import PatchInvalid
from governance.access.actors import Actor
from governance.namespaces import gate
from orbit.profiles.kinds import AnyKind, AnyRow


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name in the API, whether it holds, and a sentence."""

    code: str
    ok: bool
    text: str
    #: Whether an approval is refused if it doesn't hold; else it is only a warning.
    required: bool = True


@dataclass(frozen=True, slots=True)
class Examined:
    """A proposal against its document as that is now."""

    checks: list[Check]
    #: The document; None if the actor doesn't see it, or its revision is another.
    before: dict[str, Any] | None
    #: What the patch makes of it; None if it can't be approved.
    after: dict[str, Any] | None
    #: The document's row; None if the actor doesn't see it.
    row: AnyRow | None

    @property
    def can_be_approved(self) -> bool:
        """Whether every required check holds."""
        return all(check.ok for check in self.checks if check.required)


def examine(proposal: StrategyProposal, *, actor: Actor) -> Examined:
    """Check ``proposal`` for ``actor``, who sees it. Reads only."""
    kind, name = documents.document_of(proposal)
    row = kind.lookup(name, actor=actor)
    checks = [_revision(kind, name, row, proposal)]
    before = row.document if row is not None and checks[0].ok else None
    after = None
    if before is not None:
        fits, after = _fits(kind, name, before, proposal)
        checks.append(fits)
    checks.append(_author(proposal, actor))
    checks += _namespaces(kind, row, proposal, actor)
    return Examined(checks, before, after, row)


def _revision(kind: AnyKind, name: str, row: AnyRow | None, proposal: StrategyProposal) -> Check:
    base = proposal.base_revision
    if row is None:
        text = f"There is no {kind.words} {name} any more, or it runs in no namespace of yours"
    elif row.revision != base:
        text = f"Revision {base} was replaced: {row.revision} is the current one"
    else:
        return Check("revision_current", True, f"Revision {base} is still current")
    return Check("revision_current", False, text)


def _fits(
    kind: AnyKind, name: str, before: dict[str, Any], proposal: StrategyProposal
) -> tuple[Check, dict[str, Any] | None]:
    try:
        after = results.result(kind, name, before, proposal.patch)
    except PatchInvalid as error:
        return Check("result_fits", False, f"The patch can't be used: {error.detail}"), None
    return Check("result_fits", True, "The result fits the schema"), after


def _author(proposal: StrategyProposal, actor: Actor) -> Check:
    if reading.is_own(proposal, actor=actor):
        return Check("not_its_author", False, "You are its author: another user has to decide it")
    return Check("not_its_author", True, "You are not its author")


def _namespaces(
    kind: AnyKind, row: AnyRow | None, proposal: StrategyProposal, actor: Actor
) -> list[Check]:
    """Return the checks of the namespaces in which the document runs."""
    if row is None:
        return []
    names = create.namespaces_of(row)
    unseen = [name for name in names if not actor.sees(name)]
    checks = []
    if unseen:
        checks.append(
            Check(
                "namespaces_seen",
                False,
                "It also runs in namespaces that you may not see: "
                "a user who sees them has to decide it",
            )
        )
    stopped = gate.refusals([name for name in names if actor.sees(name)])
    if not stopped:
        words = "No namespace is" if len(names) != 1 else f"Namespace {names[0]} is not"
        return [*checks, Check("namespaces_running", True, f"{words} halted", required=False)]
    return [
        *checks,
        *(
            Check("namespaces_running", False, refusal.detail, required=False)
            for _, refusal in sorted(stopped.items())
        ),
    ]
