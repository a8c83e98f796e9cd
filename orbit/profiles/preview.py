"""What an edit would do, without doing it: its errors, its changes, and what the next cycles would be told."""

from dataclasses import dataclass
from typing import Any

from governance.access.actors import Actor
from governance.kernel import json_diff
from orbit.models import RunProfile
from orbit.profiles import edit, instruction, visible
from orbit.profiles.instruction import Instruction
from orbit.profiles.kinds import PROFILE, Kind
from orbit.profiles.schema import Faults

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Preview:
    """``changes`` are those of the current document; ``instructions`` those of the run profile, or of the profile's first run profiles."""

    faults: Faults
    changes: list[json_diff.Change]
    instructions: list[tuple[str, Instruction]]


def preview(kind: Kind, name: str, document: Any, *, current: Any, actor: Actor) -> Preview:
    """Return what saving ``document`` over ``current`` would mean; of one with errors no instruction is made."""
    faults = edit.check(kind, name, document, actor=actor)
    return Preview(
        faults,
        json_diff.changes(current, document),
        [] if faults else _instructions(kind, name, document, actor),
    )


def _instructions(
    kind: Kind, name: str, document: Any, actor: Actor
) -> list[tuple[str, Instruction]]:
    if kind is not PROFILE:
        profile = visible.profiles(actor).get(profile_id=document["profile_id"])
        return [(name, instruction.synthesize(document, profile.document))]
    runs = RunProfile.objects.filter(
        actor.filter(), profile__profile_id=name, hidden=False
    ).order_by("run_profile_id")[:_SHOWN]
    return [(run.run_profile_id, instruction.synthesize(run.document, document)) for run in runs]
