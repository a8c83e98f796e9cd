"""What no proposal may change, because an approval needs no configurator. Pure.

Ids say which document it is. The other paths decide where data goes, and which code handles it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from advisory.proposals import patches
from advisory.proposals.patches import Patch, Problems
from governance.kernel import json_diff, schemas
from governance.kernel.json_diff import ABSENT

#: By kind of document; ``*`` is any one step.
PATHS: Mapping[str, tuple[str, ...]] = {
    "profile": (
        "/profile_id",
        "/distribution_map",
        "/execution_rules/tiers/*/transformer",
        "/execution_rules/tiers/*/options",
    ),
    "run_profile": ("/run_profile_id", "/profile_id", "/namespace"),
}
#: The options of these say nothing about where data goes. A plug-in's may.
HARMLESS_TRANSFORMERS = frozenset({"passthrough", "template"})
#: What a run profile without targets delivers to.
DEFAULT_TARGET = "default-endpoint"

_Steps = tuple[str, ...]


def problems(noun: str, patch: Patch, before: dict[str, Any], after: dict[str, Any]) -> Problems:
    """Return what ``patch`` names or changes of a ``noun`` and may not."""
    patterns = list(_patterns(noun, before))
    refused = [*_named(patterns, patch), *_copied(patterns, patch, before)]
    # Whatever way the operations take (a parent, the root, `-`, a copy), their result shows it.
    for pattern in patterns:
        old, new = (dict(_values(pattern, document)) for document in (before, after))
        refused += [
            _problem(_culprit(patch, steps), _words(steps))
            for steps in sorted(old.keys() | new.keys())
            if next(json_diff.walk(old.get(steps, ABSENT), new.get(steps, ABSENT)), None)
            is not None
        ]
    if noun == "run_profile":
        refused += _added_targets(patch, before, after)
    # One for each place.
    return list({problem["pointer"]: problem for problem in reversed(refused)}.values())[::-1]


def is_forbidden(noun: str, steps: Sequence[str]) -> bool:
    """Return whether no proposal may change this place, so that it needs no field."""
    patterns = (patches.steps(path) for path in PATHS[noun])
    return any(
        len(pattern) == len(steps)
        and all(step in ("*", own) for step, own in zip(pattern, steps, strict=True))
        for pattern in patterns
    )


def targets(run_profile: Mapping[str, Any]) -> set[str]:
    """Return the endpoints to which a run profile delivers."""
    named = run_profile.get("distribution_targets")
    return set(map(str, named)) if isinstance(named, list) and named else {DEFAULT_TARGET}


def _patterns(noun: str, document: Any) -> Iterator[_Steps]:
    """Yield the forbidden paths in ``document``."""
    for path in PATHS[noun]:
        pattern = patches.steps(path)
        if pattern[-1] != "options":
            yield pattern
            continue
        for steps, _ in _values(pattern[:-1], document):
            if _transformer(document, steps) not in HARMLESS_TRANSFORMERS:
                yield (*steps, "options")


def _transformer(document: Any, steps: _Steps) -> Any:
    for _, name in _values((*steps, "transformer"), document):
        return name if isinstance(name, str) else None
    return None


def _values(pattern: _Steps, value: Any) -> Iterator[tuple[_Steps, Any]]:
    """Yield path and value of what is at ``pattern`` in ``value``."""
    if not pattern:
        yield (), value
    elif isinstance(value, dict):
        first, rest = pattern[0], pattern[1:]
        for step in value if first == "*" else {first} & value.keys():
            for steps, inner in _values(rest, value[step]):
                yield (step, *steps), inner


def _named(patterns: list[_Steps], patch: Patch) -> Iterator[dict[str, str]]:
    for number, member, steps in _paths(patch):
        for pattern in patterns:
            inside = len(steps) >= len(pattern) and all(
                expected in ("*", step) for expected, step in zip(pattern, steps, strict=False)
            )
            if inside:
                yield _problem(f"/patch/{number}/{member}", _words(steps[: len(pattern)]))


def _copied(
    patterns: list[_Steps], patch: Patch, before: dict[str, Any]
) -> Iterator[dict[str, str]]:
    """Yield what takes a forbidden value along with its parent: options can hold keys."""
    for number, member, steps in _paths(patch):
        if member != "from":
            continue
        for pattern in patterns:
            for place, _ in _values(pattern, before):
                if place[: len(steps)] == steps != place:
                    yield _problem(
                        f"/patch/{number}/from",
                        f"A proposal can't copy or move {schemas.pointer(place)[:200]}. "
                        "Ask a configurator.",
                    )


def _added_targets(
    patch: Patch, before: dict[str, Any], after: dict[str, Any]
) -> Iterator[dict[str, str]]:
    added = sorted(targets(after) - targets(before))
    if added:
        meaning = "" if after.get("distribution_targets") else ", which an empty list means"
        yield _problem(
            _culprit(patch, ("distribution_targets",)),
            f"A proposal can't add the distribution target {', '.join(added)[:200]}{meaning}. "
            "Ask a configurator.",
        )


def _culprit(patch: Patch, steps: _Steps) -> str:
    """Return the pointer to the first path that is ``steps``, a parent or a child of it."""
    for number, member, named in _paths(patch):
        shorter = min(len(named), len(steps))
        if named[:shorter] == steps[:shorter]:
            return f"/patch/{number}/{member}"
    return "/patch"


def _paths(patch: Patch) -> Iterator[tuple[int, str, _Steps]]:
    """Yield number, member and steps of each path; a `test` changes nothing."""
    for number, operation in enumerate(patch):
        for member in ("path", "from"):
            if member in operation and operation["op"] != "test":
                yield number, member, patches.steps(operation[member])


def _words(steps: _Steps) -> str:
    return f"A proposal can't change {schemas.pointer(steps)[:200]}. Ask a configurator."


def _problem(pointer: str, detail: str) -> dict[str, str]:
    return {"pointer": pointer, "detail": detail}
