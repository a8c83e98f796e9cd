"""The bridge: from a run profile, as it stands now, to the frozen context that a cycle runs on."""

from dataclasses import dataclass
from typing import Any

from governance.access.actors import Actor
from governance.kernel.canonical import canonical_json, sha256_hex
from orbit.errors import Disabled, RunProfileUnknown
from orbit.models import RunProfile
from orbit.profiles import instruction
from orbit.profiles.instruction import Instruction
from orbit.states import ProfileState


@dataclass(frozen=True, slots=True)
class Context:
    """What a cycle runs on. A later edit of the profile doesn't reach it. A raw cycle has a namespace and nothing else."""

    namespace: str
    profile_id: str | None = None
    profile_revision: int | None = None
    run_profile_id: str | None = None
    run_profile_revision: int | None = None
    instruction: Instruction | None = None

    @property
    def document(self) -> dict[str, Any]:
        """The instruction's document, as the cycle keeps it; empty for a raw cycle."""
        return self.instruction.document if self.instruction else {}

    @property
    def input(self) -> bytes:
        """The input of a cycle whose trigger brings none, ``application/json``: the instruction, or ``{}``."""
        return self.instruction.body if self.instruction else b"{}"


def context_for(run_profile_id: str, *, actor: Actor) -> Context:
    """Return the context of ``run_profile_id``; one query.

    Raises RunProfileUnknown, also for one that is hidden or stands in a namespace that ``actor`` doesn't see, and Disabled for one
    that is disabled or whose profile is.
    """
    found = (
        RunProfile.objects.select_related("profile")
        .filter(run_profile_id=run_profile_id, hidden=False)
        .first()
    )
    if found is None or not actor.sees(found.namespace_id):
        raise RunProfileUnknown(f"There is no run profile {run_profile_id!r}.")
    return context_of(found)


def context_of(found: RunProfile) -> Context:
    """Return the context of a run profile that was read with its profile.

    Raises Disabled for one that is disabled or whose profile is, and ValueError for documents that have no canonical form.
    """
    if found.state != ProfileState.ENABLED:
        raise Disabled(f"The run profile {found.run_profile_id} is disabled. Enable it to run it.")
    if found.profile.state != ProfileState.ENABLED:
        raise Disabled(
            f"The profile {found.profile.profile_id} is disabled, and {found.run_profile_id} with it. Enable the profile to run it."
        )
    return Context(
        namespace=found.namespace_id,
        profile_id=found.profile.profile_id,
        profile_revision=found.profile.revision,
        run_profile_id=found.run_profile_id,
        run_profile_revision=found.revision,
        instruction=instruction.synthesize(found.document, found.profile.document),
    )


def raw_context(namespace: str) -> Context:
    """Return the context of a cycle without run profile."""
    return Context(namespace=namespace)


def initiation_hash(context: Context) -> str:
    """Return the name of the initiation that cycles of equal context share: SHA-256 of the canonical JSON of its four ids, nulls kept."""
    ids = {
        "profile_id": context.profile_id,
        "run_profile_id": context.run_profile_id,
        "instruction_id": context.instruction.instruction_id if context.instruction else None,
        "namespace": context.namespace,
    }
    return sha256_hex(canonical_json(ids))
