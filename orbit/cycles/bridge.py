"""From a run profile, as it is now, to the frozen context that a cycle runs on."""

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
class CycleContext:
    """What a cycle runs on. Later edits of the profile don't change it.

    A raw cycle has only a namespace.
    """

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
        """The input of a cycle whose trigger has no payload: the instruction, or ``{}``."""
        return self.instruction.body if self.instruction else b"{}"


def context_for(run_profile_id: str, *, actor: Actor) -> CycleContext:
    """Return the context of a run profile. One query.

    Raises RunProfileUnknown if there is none that ``actor`` may see, and Disabled if it or its
    profile is.
    """
    run_profile = (
        RunProfile.objects.select_related("profile")
        .filter(run_profile_id=run_profile_id, hidden=False)
        .first()
    )
    if run_profile is None or not actor.sees(run_profile.namespace_id):
        raise RunProfileUnknown(f"There is no run profile {run_profile_id!r}.")
    return context_of(run_profile)


def context_of(run_profile: RunProfile) -> CycleContext:
    """Return the context of a run profile that was read with its profile.

    Raises Disabled, and ValueError for documents that have no canonical form.
    """
    profile = run_profile.profile
    if run_profile.state != ProfileState.ENABLED:
        raise Disabled(
            f"The run profile {run_profile.run_profile_id} is disabled. Enable it to run it."
        )
    if profile.state != ProfileState.ENABLED:
        raise Disabled(
            f"The profile {profile.profile_id} is disabled, and {run_profile.run_profile_id} with "
            "it. Enable the profile to run it."
        )
    return CycleContext(
        namespace=run_profile.namespace_id,
        profile_id=profile.profile_id,
        profile_revision=profile.revision,
        run_profile_id=run_profile.run_profile_id,
        run_profile_revision=run_profile.revision,
        instruction=instruction.synthesize(run_profile.document, profile.document),
    )


def raw_context(namespace: str) -> CycleContext:
    """Return the context of a cycle without run profile."""
    return CycleContext(namespace=namespace)


def initiation_hash(context: CycleContext) -> str:
    """Return the key by which cycles share an initiation: SHA-256 of the context's four ids."""
    ids = {
        "profile_id": context.profile_id,
        "run_profile_id": context.run_profile_id,
        "instruction_id": context.instruction.instruction_id if context.instruction else None,
        "namespace": context.namespace,
    }
    return sha256_hex(canonical_json(ids))
