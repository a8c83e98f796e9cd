"""Read the configuration files strictly."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from governance.kernel import files as kernel_files
from governance.kernel import strict_json, terminal
from governance.kernel.errors import Kind, OrbitError
from orbit.profiles.schema import PROFILES, RUN_PROFILES, FileProblem

MAX_FILE = 10 * 1024 * 1024
MAX_ENTRIES = 10_000
_MOST_LINES = 50


class ConfigInvalid(OrbitError):
    """The configuration files can't be used."""

    code, kind = "config_invalid", Kind.INVALID

    @property
    def lines(self) -> list[str]:
        """The detail's lines: one for each problem."""
        return self.detail.split("\n")

    @classmethod
    def of(cls, problems: Sequence[FileProblem]) -> Self:
        """Return the error for ``problems``; its message holds the first fifty."""
        # A pointer holds names of members.
        lines = [
            terminal.escape(
                f"{problem.file}{'#' + problem.pointer if problem.pointer else ''}: "
                f"{problem.detail}"
            )
            for problem in problems
        ]
        left = len(lines) - _MOST_LINES
        more = f"\n... and {left} more" if left > 0 else ""
        return cls(
            "The configuration can't be used:\n" + "\n".join(lines[:_MOST_LINES]) + more,
            errors=[
                {"file": problem.file, "pointer": problem.pointer, "detail": problem.detail}
                for problem in problems
            ],
        )


@dataclass(frozen=True, slots=True)
class Documents:
    """The entries of both files."""

    profiles: list[Any]
    run_profiles: list[Any]


def read(folder: Path) -> Documents:
    """Read both files. Raises ConfigInvalid with the problems of both."""
    documents, problems = read_leniently(folder)
    if problems:
        raise ConfigInvalid.of(problems)
    return documents


def read_leniently(folder: Path) -> tuple[Documents, list[FileProblem]]:
    """Read both files; return their entries and problems."""
    problems: list[FileProblem] = []
    documents = Documents(
        read_entries(folder, PROFILES, problems), read_entries(folder, RUN_PROFILES, problems)
    )
    return documents, problems


def read_entries(
    folder: Path, name: str, problems: list[FileProblem], *, optional: bool = False
) -> list[Any]:
    """Return the entries of the file ``name``; add its problems to ``problems``.

    An ``optional`` file that is missing has no entries.
    """
    try:
        with open(folder / name, "rb", opener=kernel_files.opener_without_wait) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                problems.append(FileProblem(name, "", "Is no plain file: write the JSON to one."))
                return []
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        if optional and isinstance(error, FileNotFoundError):
            return []
        detail = f"Can't be read ({error.strerror}). ORBIT_CONFIG_DIR names the folder."
        problems.append(FileProblem(name, "", detail))
        return []
    if len(data) > MAX_FILE:
        problems.append(FileProblem(name, "", f"Is longer than {MAX_FILE} bytes."))
        return []
    try:
        entries = strict_json.loads(data)
    except strict_json.StrictJsonError as error:
        problems += [
            FileProblem(name, problem["pointer"], problem["detail"]) for problem in error.errors
        ]
        return []
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        detail = f"Must be an array of at most {MAX_ENTRIES} objects."
        problems.append(FileProblem(name, "", detail))
        return []
    return entries
