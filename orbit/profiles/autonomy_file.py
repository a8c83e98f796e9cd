"""The policies of ``autonomy.json``: read and checked here, so that every start checks them."""

import functools
from pathlib import Path
from typing import Any

from governance.kernel import schemas
from orbit.profiles import files, schema
from orbit.profiles.schema import FileProblem

AUTONOMY = "autonomy.json"


def read(folder: Path) -> tuple[list[dict[str, Any]], list[FileProblem]]:
    """Return the policies and every problem; none of both if there is no file."""
    problems: list[FileProblem] = []
    policies = files.read_entries(folder, AUTONOMY, problems, optional=True)
    if not problems:
        problems = [
            FileProblem(AUTONOMY, problem["pointer"], problem["detail"])
            for problem in schemas.problems(_schema(), policies)
        ] + schema.duplicates(AUTONOMY, policies, "name")
    return ([] if problems else policies), problems


@functools.cache
def _schema() -> dict[str, Any]:
    return schemas.load(schema.FOLDER / "autonomy.schema.json")
