"""Check what profiles and run profiles hold; report every problem."""

import functools
import itertools
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from governance.kernel import canonical, cron_fields, schemas
from governance.kernel.strict_json import Inexact

PROFILES, RUN_PROFILES = "profiles.json", "runProfiles.json"
MAX_DOCUMENT = 256 * 1024
_TIERS = {"1", "2", "3"}
_HUGE = "Is a number beyond 2^53, which not every reader keeps exactly. Write it as a string."
_INEXACT = (
    "Is a number that a binary float would change: it has too many digits, or is too small. "
    "Round it, or write it as a string."
)
DEFAULT_TARGET = "default-endpoint"
# The release's schemas: those in ORBIT_CONFIG_DIR may be older.
FOLDER = Path(__file__).resolve().parent.parent.parent / "config" / "schemas"

Problems = list[dict[str, str]]  # each with pointer and detail
OptionChecks = Mapping[str, Callable[[Mapping[str, Any]], Problems]]


@dataclass(frozen=True, slots=True)
class FileProblem:
    """A problem of a configuration file."""

    file: str
    pointer: str  # a JSON pointer into the file
    detail: str


def check(
    profiles: Sequence[Any],
    run_profiles: Sequence[Any],
    *,
    endpoints: Collection[str] | None,
    transformers: OptionChecks,
    processors: Collection[str],
    profiles_known: bool = True,
) -> list[FileProblem]:
    """Return every problem of both lists.

    ``endpoints``: None doesn't check targets. ``profiles_known``: False if they couldn't be read.
    """
    problems = []
    for number, document in enumerate(profiles):
        of_profile = profile_problems(document, transformers=transformers, processors=processors)
        problems += _in_file(PROFILES, number, of_profile)
    profile_ids: set[str] | None = None
    if profiles_known:
        profile_ids = {
            str(entry.get("profile_id")) for entry in profiles if isinstance(entry, dict)
        }
    for number, document in enumerate(run_profiles):
        of_run_profile = run_profile_problems(document, profiles=profile_ids, endpoints=endpoints)
        problems += _in_file(RUN_PROFILES, number, of_run_profile)
    return (
        problems
        + duplicates(PROFILES, profiles, "profile_id")
        + duplicates(RUN_PROFILES, run_profiles, "run_profile_id")
    )


def _in_file(file: str, number: int, problems: Problems) -> list[FileProblem]:
    return [
        FileProblem(file, f"/{number}{problem['pointer']}", problem["detail"])
        for problem in problems
    ]


def profile_problems(
    document: Any, *, transformers: OptionChecks, processors: Collection[str]
) -> Problems:
    """Return the problems of one profile."""
    problems = _schema_problems(_schema("profiles", "profile"), document)
    # Check the valid parts too: one mistake must not hide another.
    valid = _ValidParts(document, problems)
    tiers = valid.get(dict, "execution_rules", "tiers") or {}
    for tier in _TIERS & tiers.keys():  # the schema refuses others, however many
        problems += _tier_problems(valid, tier, transformers)
    processor = valid.get(str, "execution_rules", "normalizer", "processor")
    if processor is not None and processor not in processors:
        problems.append(
            _problem(
                "/execution_rules/normalizer/processor",
                f"There is no processor `{processor}`. Choose from: {_listed(processors)}.",
            )
        )
    return problems + _text_problems(valid, "label")


def _tier_problems(valid: "_ValidParts", tier: str, transformers: OptionChecks) -> Problems:
    path = ("execution_rules", "tiers", tier)
    place = f"/execution_rules/tiers/{tier}"
    name = valid.get(str, *path, "transformer")
    if name is None:
        return []
    if name not in transformers:
        detail = f"There is no transformer `{name}`. Choose from: {_listed(transformers)}."
        return [_problem(f"{place}/transformer", detail)]
    options = valid.get(dict, *path, "options", default={})
    if options is None:
        return []
    return [
        _problem(f"{place}/options{problem['pointer']}", problem["detail"])
        for problem in transformers[name](options)
    ]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def run_profile_problems(
    document: Any, *, profiles: Collection[str] | None, endpoints: Collection[str] | None
) -> Problems:
    """Return the problems of one run profile. None skips that check."""
    problems = _schema_problems(_schema("runProfiles", "runProfile"), document)
    valid = _ValidParts(document, problems)
    profile = valid.get(str, "profile_id")
    if profiles is not None and profile is not None and profile not in profiles:
        problems.append(_problem("/profile_id", f"There is no profile `{profile}`."))
    cron = valid.get(str, "execution_policy", "cron")
    if cron is not None and (detail := cron_fields.problem(cron)):
        problems.append(_problem("/execution_policy/cron", detail))
    zone = valid.get(str, "execution_policy", "time_zone")
    if zone is not None and not cron_fields.is_time_zone(zone):
        problems.append(
            _problem(
                "/execution_policy/time_zone",
                "Is not a time zone. Write an IANA name such as Europe/Berlin.",
            )
        )
    targets = valid.get(list, "distribution_targets", default=[])
    if endpoints is not None and targets is not None:
        problems += _target_problems(targets, endpoints)
    return problems + _text_problems(valid)


def _target_problems(targets: Sequence[Any], endpoints: Collection[str]) -> Problems:
    # Orbit starts without any endpoint; the dispatch stage then reports it.
    keys = set(endpoints) or {DEFAULT_TARGET}
    if not targets and DEFAULT_TARGET not in keys:
        return [
            _problem(
                "/distribution_targets",
                f"Names no endpoint, and there is no `{DEFAULT_TARGET}`. "
                f"Choose from: {_listed(keys)}.",
            )
        ]
    unknown = [
        (number, target)
        for number, target in enumerate(targets)
        if isinstance(target, str) and target not in keys
    ]
    return [
        _problem(
            f"/distribution_targets/{number}",
            f"ORBIT_DISPATCH_ENDPOINTS has no endpoint `{target}`."
            # once is enough
            + (f" Choose from: {_listed(keys)}." if number == unknown[0][0] else ""),
        )
        for number, target in unknown
    ]


def _schema_problems(schema: Mapping[str, Any], document: Any) -> Problems:
    problems = schemas.problems(schema, document)
    if problems:
        return problems
    # The canonical form takes twenty times as long; it may be shorter than this, but not by half.
    if len(json.dumps(document, ensure_ascii=False, separators=(",", ":"))) > 2 * MAX_DOCUMENT:
        return [_problem("", f"Is longer than {MAX_DOCUMENT} bytes.")]
    changed = list(itertools.islice(_changed_numbers(document), schemas.MOST_LISTED))
    if changed:
        return changed
    try:
        size = len(canonical.canonical_json(document))
    except ValueError as error:
        return [_problem("", str(error))]
    return [_problem("", f"Is longer than {MAX_DOCUMENT} bytes.")] if size > MAX_DOCUMENT else []


def _changed_numbers(document: Any) -> Iterator[dict[str, str]]:
    """Yield the problems of numbers that an instruction would change."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        steps: Iterable[tuple[str | int, Any]] = (
            value.items() if isinstance(value, dict) else enumerate(value)
        )
        for step, item in steps:
            if isinstance(item, dict | list):
                waiting.append(((*path, step), item))
            elif isinstance(item, int | float) and abs(item) > 2**53 - isinstance(item, int):
                yield _problem(schemas.pointer((*path, step)), _HUGE)
            elif isinstance(item, Inexact):
                yield _problem(schemas.pointer((*path, step)), _INEXACT)


class _ValidParts:
    """The parts of a document that fit its schema."""

    def __init__(self, document: Any, problems: Problems) -> None:
        self._document = document
        # A problem of the whole, such as a missing member, doesn't concern the other members.
        self._wrong = {problem["pointer"] for problem in problems} - {""}

    def get(self, kind: type[Any], *path: str, default: Any = None) -> Any:
        """Return the value at ``path``, or ``default``; None if it doesn't fit."""
        value = self._document
        for depth, step in enumerate(path, start=1):
            if schemas.pointer(path[:depth]) in self._wrong or not isinstance(value, dict):
                return None
            if step not in value:
                return default
            value = value[step]
        return value if isinstance(value, kind) else None


def _text_problems(valid: _ValidParts, *members: str) -> Problems:
    texts = [
        (f"/{member}", text) for member in members if (text := valid.get(str, member)) is not None
    ]
    texts += [
        (f"/value_tags/{number}", tag)
        for number, tag in enumerate(valid.get(list, "value_tags") or [])
        if isinstance(tag, str)
    ]
    return [
        _problem(pointer, "Holds a control or direction character, or nothing visible.")
        for pointer, text in texts
        if schemas.unseen(text) or not text.strip()
    ]


def duplicates(file: str, documents: Sequence[Any], member: str) -> list[FileProblem]:
    """Return a problem for each document whose ``member`` repeats an earlier one's."""
    names: set[str] = set()
    duplicates = []
    for number, document in enumerate(documents):
        name = document.get(member) if isinstance(document, dict) else None
        if isinstance(name, str):
            if name in names:
                duplicates.append(
                    FileProblem(file, f"/{number}/{member}", f"`{name}` is used twice.")
                )
            names.add(name)
    return duplicates


def _problem(pointer: str, detail: str) -> dict[str, str]:
    return {"pointer": pointer, "detail": detail}


def of_profile() -> dict[str, Any]:
    """Return the JSON Schema of a profile."""
    return _schema("profiles", "profile")


def of_run_profile() -> dict[str, Any]:
    """Return the JSON Schema of a run profile."""
    return _schema("runProfiles", "runProfile")


@functools.cache
def _schema(name: str, part: str) -> dict[str, Any]:
    whole = schemas.load(FOLDER / f"{name}.schema.json")
    return {**whole["$defs"][part], "$defs": whole["$defs"]}
