"""Each variable in the table of docs/operations.md ("It doesn't start") is answered as it says."""

import re
import runpy
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from orbit_site.settings import environment, variables

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def rows(heading: str) -> list[tuple[str, str]]:
    """Return input and answer of each row of the table with ``heading``."""
    section = PAGE.read_text(encoding="utf-8").partition("## It doesn't start")[2]
    table = section.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `(.+?)` \| `(.+?)` \|", table, re.MULTILINE)


@pytest.mark.parametrize(("assignment", "answer"), rows("a variable"))
def test_a_variable_is_answered_as_the_page_says(
    assignment: str, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, _, value = assignment.partition("=")
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(variables, "TABLE", [])
    with pytest.raises(ImproperlyConfigured) as refusal:
        runpy.run_path(environment.__file__)
    pattern = re.escape(answer).replace(re.escape("..."), ".*")
    assert re.fullmatch(pattern, str(refusal.value)), str(refusal.value)
