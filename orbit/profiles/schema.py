"""What a profile and a run profile may hold: the JSON Schemas of the release, and what schemas can't say. Every error, not the first."""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError

from governance.kernel import canonical, schemas

PROFILES, RUN_PROFILES = "profiles.json", "runProfiles.json"
MAX_DOCUMENT = 256 * 1024
DEFAULT_TARGET = "default-endpoint"
# The schemas are part of the release: ORBIT_CONFIG_DIR may be a copy that is older.
_FOLDER = Path(__file__).resolve().parent.parent.parent / "config" / "schemas"

Faults = list[dict[str, str]]
OptionChecks = Mapping[str, Callable[[Mapping[str, Any]], Faults]]


@dataclass(frozen=True, slots=True)
class Problem:
    """One error: in which file, where in it (a JSON pointer), and what."""

    file: str
    pointer: str
    detail: str


def check(
    profiles: Sequence[Any],
    run_profiles: Sequence[Any],
    *,
    endpoints: Collection[str] | None,
    transformers: OptionChecks,
    processors: Collection[str],
    profiles_known: bool = True,
) -> list[Problem]:
    """Return every error of both lists, an empty list when there is none.

    ``transformers`` maps each known name to the function that finds the faults of its options; ``endpoints`` are the configured keys, or None
    to leave targets unchecked; without ``profiles_known``, because their file can't be read, it is left unchecked whether they exist.
    """
    found = []
    for number, document in enumerate(profiles):
        found += [
            Problem(PROFILES, f"/{number}{fault['pointer']}", fault["detail"])
            for fault in profile_faults(document, transformers=transformers, processors=processors)
        ]
    known = (
        {str(document.get("profile_id")) for document in profiles if isinstance(document, dict)}
        if profiles_known
        else None
    )
    for number, document in enumerate(run_profiles):
        found += [
            Problem(RUN_PROFILES, f"/{number}{fault['pointer']}", fault["detail"])
            for fault in run_profile_faults(document, profiles=known, endpoints=endpoints)
        ]
    return (
        found
        + _twice(PROFILES, profiles, "profile_id")
        + _twice(RUN_PROFILES, run_profiles, "run_profile_id")
    )


def profile_faults(
    document: Any, *, transformers: OptionChecks, processors: Collection[str]
) -> Faults:
    """Return the errors of one profile as ``{pointer, detail}``."""
    faults = _shape(_schema("profiles", "profile"), document)
    sound = _Sound(document, faults)
    for tier in sound.get(dict, "execution_rules", "tiers") or {}:
        name = sound.get(str, "execution_rules", "tiers", tier, "transformer")
        place = f"/execution_rules/tiers/{tier}"
        if name is not None and name not in transformers:
            faults.append(
                _fault(
                    f"{place}/transformer",
                    f"No transformer is called `{name}`. Known are: {', '.join(sorted(transformers))}.",
                )
            )
        elif (
            name is not None
            and (
                options := sound.get(dict, "execution_rules", "tiers", tier, "options", default={})
            )
            is not None
        ):
            faults += [
                _fault(f"{place}/options{fault['pointer']}", fault["detail"])
                for fault in transformers[name](options)
            ]
    processor = sound.get(str, "execution_rules", "normalizer", "processor")
    if processor is not None and processor not in processors:
        faults.append(
            _fault(
                "/execution_rules/normalizer/processor",
                f"No processor is called `{processor}`. Known are: {', '.join(sorted(processors))}.",
            )
        )
    return faults + _names(sound, "label")


def run_profile_faults(
    document: Any, *, profiles: Collection[str] | None, endpoints: Collection[str] | None
) -> Faults:
    """Return the errors of one run profile as ``{pointer, detail}``; ``profiles`` are the profile ids that exist, None leaves that unchecked."""
    faults = _shape(_schema("runProfiles", "runProfile"), document)
    sound = _Sound(document, faults)
    profile = sound.get(str, "profile_id")
    if profiles is not None and profile is not None and profile not in profiles:
        faults.append(_fault("/profile_id", f"No profile is called `{profile}`."))
    cron = sound.get(str, "execution_policy", "cron")
    if cron is not None and (why := cron_fault(cron)):
        faults.append(_fault("/execution_policy/cron", why))
    zone = sound.get(str, "execution_policy", "time_zone")
    if zone is not None and zone not in available_timezones():
        faults.append(
            _fault(
                "/execution_policy/time_zone",
                "Is no time zone. Write an IANA name such as Europe/Berlin.",
            )
        )
    targets = sound.get(list, "distribution_targets", default=[])
    if endpoints is not None and targets is not None:
        faults += _target_faults(targets, endpoints)
    return faults + _names(sound)


def cron_fault(cron: str) -> str:
    """Return why ``cron`` can't be a schedule, or an empty text: five fields, and a moment in the next years at which it fires."""
    if len(cron.split()) != 5:
        return "Must be five cron fields: minute, hour, day of month, month, day of week."
    try:
        next(CronSim(cron, datetime.now(UTC)))
    except (CronSimError, AssertionError) as error:
        return f"Is no cron schedule: {error}."
    except StopIteration:
        return "Never fires."
    return ""


def _target_faults(targets: Sequence[Any], endpoints: Collection[str]) -> Faults:
    # Without any endpoint Orbit starts all the same: the dispatch stage then says so.
    known = set(endpoints) or {DEFAULT_TARGET}
    shown = ", ".join(sorted(known))
    if not targets and DEFAULT_TARGET not in known:
        return [
            _fault(
                "/distribution_targets",
                f"Names no endpoint, and none is called `{DEFAULT_TARGET}`. Known are: {shown}.",
            )
        ]
    return [
        _fault(
            f"/distribution_targets/{number}",
            f"No endpoint in ORBIT_DISPATCH_ENDPOINTS is called `{target}`. Known are: {shown}.",
        )
        for number, target in enumerate(targets)
        if isinstance(target, str) and target not in known
    ]


def _shape(schema: Mapping[str, Any], document: Any) -> Faults:
    faults = schemas.problems(schema, document)
    if faults:
        return faults
    try:
        size = len(canonical.canonical_json(document))
    except ValueError as error:
        return [_fault("", str(error))]
    if size > MAX_DOCUMENT:
        return [_fault("", f"Is longer than {MAX_DOCUMENT} bytes.")]
    return [
        _fault(
            schemas.pointer(path),
            "Is a number beyond 2^53, which not every reader keeps exactly. Write it as a text.",
        )
        for path in _huge(document, [])
    ]


def _huge(value: Any, path: list[str | int]) -> list[list[str | int]]:
    """Return the paths of numbers that the database gives back in another form than they came in."""
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in _huge(item, [*path, key])]
    if isinstance(value, list):
        return [
            found for number, item in enumerate(value) for found in _huge(item, [*path, number])
        ]
    return [path] if isinstance(value, int | float) and abs(value) > 2**53 else []


class _Sound:
    """The parts of a document that its schema has nothing against, so that one mistake hides no other one."""

    def __init__(self, document: Any, faults: Faults) -> None:
        self._document = document
        # A fault of the whole, such as a member that lacks, says nothing against the members that are there.
        self._wrong = {fault["pointer"] for fault in faults} - {""}

    def get(self, kind: type[Any], *path: str, default: Any = None) -> Any:
        """Return what stands at ``path``: ``default`` where nothing does, None where it or something around it is wrong."""
        value = self._document
        for depth, step in enumerate(path, start=1):
            if schemas.pointer(path[:depth]) in self._wrong or not isinstance(value, dict):
                return None
            if step not in value:
                return default
            value = value[step]
        return value if isinstance(value, kind) else None


def _names(sound: _Sound, *members: str) -> Faults:
    texts = [
        (f"/{member}", text) for member in members if (text := sound.get(str, member)) is not None
    ]
    texts += [
        (f"/value_tags/{number}", tag)
        for number, tag in enumerate(sound.get(list, "value_tags") or [])
        if isinstance(tag, str)
    ]
    return [
        _fault(pointer, "Holds a control or direction character, or nothing to see.")
        for pointer, text in texts
        if schemas.unseen(text) or not text.strip()
    ]


def _twice(file: str, documents: Sequence[Any], member: str) -> list[Problem]:
    seen: set[str] = set()
    found = []
    for number, document in enumerate(documents):
        name = document.get(member) if isinstance(document, dict) else None
        if isinstance(name, str):
            if name in seen:
                found.append(Problem(file, f"/{number}/{member}", f"`{name}` is there twice."))
            seen.add(name)
    return found


def _fault(pointer: str, detail: str) -> dict[str, str]:
    return {"pointer": pointer, "detail": detail}


def of_profile() -> dict[str, Any]:
    """Return the JSON Schema of a profile."""
    return _schema("profiles", "profile")


def of_run_profile() -> dict[str, Any]:
    """Return the JSON Schema of a run profile."""
    return _schema("runProfiles", "runProfile")


@functools.cache
def _schema(name: str, part: str) -> dict[str, Any]:
    whole = schemas.load(_FOLDER / f"{name}.schema.json")
    return {**whole["$defs"][part], "$defs": whole["$defs"]}
