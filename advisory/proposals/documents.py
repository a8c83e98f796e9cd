"""The document that a proposal changes."""

from advisory.models import StrategyProposal
from orbit.profiles.kinds import PROFILE, RUN_PROFILE, AnyKind


def document_of(proposal: StrategyProposal) -> tuple[AnyKind, str]:
    """Return the kind and the id of the document that ``proposal`` changes."""
    if proposal.run_profile_id is None:
        return PROFILE, proposal.profile_id
    return RUN_PROFILE, proposal.run_profile_id


def current_revision(proposal: StrategyProposal) -> int | None:
    """Return the document's current revision; None if it is no longer in the configuration."""
    kind, name = document_of(proposal)
    rows = kind.rows.objects.filter(**{kind.key: name}, hidden=False)
    revision: int | None = rows.values_list("revision", flat=True).first()
    return revision
