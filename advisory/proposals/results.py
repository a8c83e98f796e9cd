"""What a patch makes of a document, if it may."""

from typing import Any

from advisory.proposals import forbidden, patches
from advisory.proposals.patches import Patch, Problems
from governance.access.actors import SYSTEM
from orbit.profiles import validation
from orbit.profiles.kinds import AnyKind


def result(kind: AnyKind, name: str, document: dict[str, Any], patch: Patch) -> dict[str, Any]:
    """Return ``document`` after ``patch``. Raises PatchInvalid with every problem.

    It has to apply, to touch nothing forbidden, and its result has to fit the schema.
    """
    after = patches.apply(document, patch)
    if problems := forbidden.problems(kind.noun, patch, document, after):
        raise patches.refusal(problems)
    if problems := schema_problems(kind, name, document, after):
        raise patches.refusal(problems)
    return after


def schema_problems(
    kind: AnyKind, name: str, before: dict[str, Any], after: dict[str, Any]
) -> Problems:
    """Return why ``after`` can't be the document ``name``, with pointers to the patch."""
    # As in the editor, a document with problems can still be disabled.
    if after == {**before, "state": "disabled"}:
        return []
    # As SYSTEM: a patch can't change references, and the actor may not see all of them.
    return [
        {
            "pointer": "/patch",
            "detail": f"The result doesn't fit: {problem['pointer'] or 'the document'}: "
            f"{problem['detail']}",
        }
        for problem in validation.all_problems(kind, name, after, actor=SYSTEM)
    ]
