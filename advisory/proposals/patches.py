"""JSON Patches (RFC 6902): checked, bounded, applied. Pure.

The library applies one operation at a time, so that a refusal names the operation.
"""

import copy
import json
from collections.abc import Mapping
from typing import Any

import jsonpatch
import jsonpointer

from governance.kernel import json_diff, schemas
from governance.kernel.errors import Kind, OrbitError

Operation = Mapping[str, Any]
Patch = list[dict[str, Any]]
Problems = list[dict[str, str]]

MOST_OPERATIONS, MOST_BYTES = 100, 64 * 1024
#: As deep as a body may be.
MOST_DEPTH = 64
#: What all `copy` operations of a patch may add: a copy of the whole into itself doubles it.
_MOST_COPIED = 256 * 1024
_MEMBERS = {
    "add": {"op", "path", "value"},
    "replace": {"op", "path", "value"},
    "test": {"op", "path", "value"},
    "remove": {"op", "path"},
    "move": {"op", "path", "from"},
    "copy": {"op", "path", "from"},
}
_OPERATIONS = ", ".join(_MEMBERS)


class PatchInvalid(OrbitError):
    """This patch can't be used."""

    code, kind = "invalid_patch", Kind.INVALID


def parse(patch: Any) -> Patch:
    """Return ``patch`` if it is a JSON Patch within the bounds. Raises PatchInvalid."""
    if not isinstance(patch, list):
        raise _invalid("/patch", "Must be a list of operations (RFC 6902).")
    if not patch:
        raise _invalid("/patch", "Holds no operation.")
    if len(patch) > MOST_OPERATIONS:
        raise _invalid("/patch", f"Must hold at most {MOST_OPERATIONS} operations.")
    # ASCII only: as long as the longest spelling.
    if len(json.dumps(patch)) > MOST_BYTES:
        raise _invalid("/patch", f"Must be at most {MOST_BYTES // 1024} KiB long.")
    problems = [
        problem
        for number, operation in enumerate(patch)
        for problem in _operation_problems(f"/patch/{number}", operation)
    ]
    if problems:
        raise refusal(problems)
    return [dict(operation) for operation in patch]


def apply(document: dict[str, Any], patch: Patch) -> dict[str, Any]:
    """Return ``document`` after ``patch``, which was parsed. Raises PatchInvalid.

    A patch that changes nothing is refused, too.
    """
    result: Any = copy.deepcopy(document)
    room = _MOST_COPIED
    for number, operation in enumerate(patch):
        place = f"/patch/{number}"
        room -= _copied(place, operation, result)
        if room < 0:
            raise _invalid(place, "The copies of this patch are too large.")
        result = _apply_one(place, operation, result)
    if not isinstance(result, dict):
        raise _invalid("/patch", "The result isn't an object.")
    if next(json_diff.walk(document, result), None) is None:
        raise _invalid("/patch", "The patch changes nothing.")
    return result


def steps(path: str) -> tuple[str, ...]:
    """Return the steps of the JSON pointer ``path``, without escapes."""
    return tuple(jsonpointer.JsonPointer(path).parts)


def refusal(problems: Problems) -> PatchInvalid:
    """Return the error with ``problems``."""
    count = f"{len(problems)} thing{'s' if len(problems) > 1 else ''}"
    return PatchInvalid(
        f"{count} in this patch can't be accepted. {problems[0]['detail']}", errors=problems
    )


def _operation_problems(place: str, operation: Any) -> Problems:
    if not isinstance(operation, dict):
        return [_problem(place, "Must be an object.")]
    name = operation.get("op")
    if not isinstance(name, str) or name not in _MEMBERS:
        return [_problem(f"{place}/op", f"Must be one of: {_OPERATIONS}.")]
    members = _MEMBERS[name]
    problems = [
        _problem(place, f"Lacks `{member}`.") for member in sorted(members - operation.keys())
    ]
    problems += [
        _problem(place + schemas.pointer([member]), f"Is no member of `{name}`.")
        for member in sorted(operation.keys() - members)
    ]
    problems += [
        _problem(f"{place}/{member}", detail)
        for member in sorted(members & {"path", "from"} & operation.keys())
        if (detail := _pointer_problem(operation[member]))
    ]
    return problems


def _pointer_problem(path: Any) -> str:
    if not isinstance(path, str):
        return "Must be a JSON pointer, such as /label."
    try:
        pointer = jsonpointer.JsonPointer(path)
    except jsonpointer.JsonPointerException:
        return "Isn't a JSON pointer, such as /label (RFC 6901)."
    return f"Is deeper than {MOST_DEPTH}." if len(pointer.parts) > MOST_DEPTH else ""


def _copied(place: str, operation: Operation, document: Any) -> int:
    """Return how much ``operation`` copies. Raises PatchInvalid if its result is too deep."""
    if operation["op"] not in {"add", "replace", "copy", "move"}:
        return 0
    value = _value(document, operation["from"]) if "from" in operation else operation["value"]
    if len(steps(operation["path"])) + _depth(value) > MOST_DEPTH:
        raise _invalid(place, f"The result is nested deeper than {MOST_DEPTH}.")
    return len(json.dumps(value)) if operation["op"] == "copy" else 0


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [
            inner for item in level for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if depth > MOST_DEPTH:
            break
    return depth


def _apply_one(place: str, operation: Operation, document: Any) -> Any:
    path = operation["path"][:200]
    try:
        return jsonpatch.JsonPatch([operation]).apply(document, in_place=True)
    except jsonpatch.JsonPatchTestFailed:
        # The library's text quotes the values.
        raise _invalid(
            place, f"The test failed: {path or 'the document'} has another value."
        ) from None
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException):
        pass
    name = operation["op"]
    if "from" in operation and _value(document, operation["from"]) is None:
        raise _invalid(f"{place}/from", f"There is no {operation['from'][:200]} in the document.")
    if name == "move" and operation["path"].startswith(operation["from"]):
        raise _invalid(place, "A value can't be moved into itself.")
    if name == "remove" and not path:
        raise _invalid(place, "The whole document can't be removed.")
    if name in {"remove", "replace"}:
        raise _invalid(f"{place}/path", f"There is no {path} in the document.")
    raise _invalid(
        f"{place}/path",
        f"There is no place {path} in the document: its parent is missing, or is no object or "
        "list, or has no such position.",
    )


def _value(document: Any, path: str) -> Any:
    """Return the value at ``path``; None if there is none."""
    value = jsonpointer.resolve_pointer(document, path, None)
    # What `-` names: the place behind the last item.
    return None if isinstance(value, jsonpointer.EndOfList) else value


def _problem(pointer: str, detail: str) -> dict[str, str]:
    return {"pointer": pointer, "detail": detail}


def _invalid(pointer: str, detail: str) -> PatchInvalid:
    return PatchInvalid(detail, errors=[_problem(pointer, detail)])
