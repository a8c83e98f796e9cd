"""The configuration files: ``profiles.json`` and ``runProfiles.json`` of a folder, read strictly."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from governance.kernel import strict_json
from governance.kernel.errors import Kind, OrbitError
from orbit.profiles.schema import PROFILES, RUN_PROFILES, Problem

MAX_FILE = 10 * 1024 * 1024
MAX_ENTRIES = 10_000


class ConfigInvalid(OrbitError):
    """The configuration files can't be used."""

    code, kind = "config_invalid", Kind.INVALID

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> Self:
        """Return the refusal for ``problems``, each with file, pointer and reason; its text holds the first fifty."""
        lines = [
            f"{problem.file}{'#' + problem.pointer if problem.pointer else ''}: {problem.detail}"
            for problem in problems
        ]
        more = f"\n... and {len(lines) - 50} more" if len(lines) > 50 else ""
        return cls(
            "The configuration can't be used:\n" + "\n".join(lines[:50]) + more,
            errors=[
                {"file": problem.file, "pointer": problem.pointer, "detail": problem.detail}
                for problem in problems
            ],
        )


@dataclass(frozen=True, slots=True)
class Documents:
    """The entries of both files, as they stand there."""

    profiles: list[Any]
    run_profiles: list[Any]


def read(folder: Path) -> Documents:
    """Read both files of ``folder``. Raises ConfigInvalid with the errors of both: not there, too long, not the JSON that Orbit accepts, no array."""
    documents, problems = read_what_can_be(folder)
    if problems:
        raise ConfigInvalid.of(problems)
    return documents


def read_what_can_be(folder: Path) -> tuple[Documents, list[Problem]]:
    """Read both files of ``folder``; return the errors of ``read`` beside the entries, of which a file that can't be read has none."""
    problems: list[Problem] = []
    return Documents(
        _read(folder, PROFILES, problems), _read(folder, RUN_PROFILES, problems)
    ), problems


def _read(folder: Path, name: str, problems: list[Problem]) -> list[Any]:
    try:
        with (folder / name).open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        problems.append(
            Problem(
                name, "", f"Can't be read ({error.strerror}). ORBIT_CONFIG_DIR names the folder."
            )
        )
        return []
    if len(data) > MAX_FILE:
        problems.append(Problem(name, "", f"Is longer than {MAX_FILE} bytes."))
        return []
    try:
        value = strict_json.loads(data)
    except strict_json.StrictJsonError as error:
        problems += [Problem(name, fault["pointer"], fault["detail"]) for fault in error.errors]
        return []
    if not isinstance(value, list) or len(value) > MAX_ENTRIES:
        problems.append(Problem(name, "", f"Must be an array of at most {MAX_ENTRIES} objects."))
        return []
    return value
