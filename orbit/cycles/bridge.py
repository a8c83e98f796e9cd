"""Freeze a run profile as the context of a cycle."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from governance.access.actors import Actor
from governance.kernel import sql
from governance.kernel.canonical import canonical_json, sha256_hex
from orbit.errors import Disabled, RunProfileUnknown
from orbit.models import RunProfile
from orbit.profiles import instruction
from orbit.profiles.instruction import Instruction, ProfilePart
from orbit.states import ProfileState

CURRENT = sql.load(__name__, "current_revisions")


@dataclass(frozen=True, slots=True)
class CycleContext:
    """What a cycle runs on, whatever is edited later."""

    namespace: str
    # A raw cycle has none of these.
    profile_id: str | None = None
    profile_revision: int | None = None
    run_profile_id: str | None = None
    run_profile_revision: int | None = None
    instruction: Instruction | None = None

    @property
    def document(self) -> dict[str, Any]:
        """The instruction's document; empty for a raw cycle."""
        return self.instruction.document if self.instruction else {}

    @property
    def input(self) -> bytes:
        """The input if the trigger has no payload."""
        return self.instruction.body if self.instruction else b"{}"


def context_for(run_profile_id: str, *, actor: Actor) -> CycleContext:
    """Return a run profile's context. One query. Raises RunProfileUnknown, Disabled."""
    run_profile = (
        RunProfile.objects.select_related("profile")
        .filter(run_profile_id=run_profile_id, hidden=False)
        .first()
    )
    if run_profile is None or not actor.sees(run_profile.namespace_id):
        raise RunProfileUnknown(f"There is no run profile {run_profile_id!r}.")
    return context_of(run_profile)


def context_of(run_profile: RunProfile, part: ProfilePart | None = None) -> CycleContext:
    """Return a run profile's context. Raises Disabled and ValueError.

    ``part`` is its profile's share; by default it is made here.
    """
    profile = run_profile.profile  # read with it: no query
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
        # ValueError if a document has no canonical form
        instruction=instruction.synthesize(run_profile.document, part or profile.document),
    )


def current(contexts: Sequence[CycleContext]) -> set[str | None]:
    """Return the run profiles whose contexts still are what is configured.

    Call it in the transaction that starts the cycles, after ``creation.hold_configuration``.
    """
    rows = CURRENT.send(
        run_profiles=[context.run_profile_id for context in contexts],
        revisions=[context.run_profile_revision for context in contexts],
        profiles=[context.profile_id for context in contexts],
        profile_revisions=[context.profile_revision for context in contexts],
    )
    return {run_profile_id for (run_profile_id,) in rows}


def is_current(context: CycleContext) -> bool:
    """Tell the same of one context; a raw one always is."""
    return context.run_profile_id is None or bool(current([context]))


def raw_context(namespace: str) -> CycleContext:
    """Return the context of a cycle without run profile."""
    return CycleContext(namespace=namespace)


def initiation_hash(context: CycleContext) -> str:
    """Return the key by which cycles share an initiation."""
    ids = {
        "profile_id": context.profile_id,
        "run_profile_id": context.run_profile_id,
        "instruction_id": context.instruction.instruction_id if context.instruction else None,
        "namespace": context.namespace,
    }
    return sha256_hex(canonical_json(ids))
