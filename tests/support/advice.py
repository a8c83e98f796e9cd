"""Proposals, and who decides them."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User

from advisory.models import StrategyProposal
from governance.access.actors import SYSTEM
from governance.kernel import canonical, clock
from governance.kernel.identifiers import uuid7
from orbit.models import Profile, RunProfile
from tests.support.configuration import profile, run_profile, store_profiles

#: What ``propose`` proposes, by default.
PATCH = [{"op": "replace", "path": "/label", "value": "Daily, slower"}]


def store_documents(*namespaces: str, **members: Any) -> None:
    """Store the profile ``daily``, which runs in ``namespaces`` (``eu`` by default)."""
    store_profiles(
        [profile(**members)],
        [
            run_profile(f"daily-{namespace}", namespace=namespace)
            for namespace in namespaces or ("eu",)
        ],
    )


def propose(
    author: User | str = "orbit",
    *,
    patch: list[dict[str, Any]] | None = None,
    profile_id: str = "daily",
    run_profile_id: str | None = None,
    namespace: str | None = "eu",
    base_revision: int | None = None,
    expired: bool = False,
    **members: Any,
) -> StrategyProposal:
    """Create a proposal of the engine or of a user, against the current revision."""
    name = author if isinstance(author, str) else author.username
    patch = PATCH if patch is None else patch
    row: Profile | RunProfile = (
        Profile.objects.get(profile_id=profile_id)
        if run_profile_id is None
        else RunProfile.objects.get(run_profile_id=run_profile_id)
    )
    proposal_id = uuid7()
    values: dict[str, Any] = {
        "fingerprint": canonical.sha256_hex(proposal_id.bytes),
        "title": "Call it slower",
        "rationale": "It failed in 12 of 30 cycles.",
        "evidence": {"failed": 12, "cycles": 30},
        "rule": "raise_backoff" if name == SYSTEM.name else "",
        "expires_at": clock.read() - timedelta(seconds=1) if expired else None,
        **members,
    }
    return StrategyProposal.objects.create(
        id=proposal_id,
        profile_id=profile_id,
        run_profile_id=run_profile_id,
        namespace=namespace,
        base_revision=row.revision if base_revision is None else base_revision,
        patch=patch,
        author=name,
        author_user=None if isinstance(author, str) else author.pk,
        **values,
    )


def state_of(proposal: StrategyProposal | UUID) -> str:
    """Return the proposal's state, as it is stored now."""
    pk = proposal if isinstance(proposal, UUID) else proposal.pk
    return StrategyProposal.objects.values_list("state", flat=True).get(pk=pk)
