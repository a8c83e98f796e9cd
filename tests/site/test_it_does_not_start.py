"""Inputs in the tables of docs/operations.md ("It doesn't start") are answered as it says."""

import re
import runpy
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from orbit_site.settings import database_urls, dotenv, environment, variables

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def rows(heading: str) -> list[tuple[str, str]]:
    """Return input and answer of each row of the table with ``heading``."""
    section = PAGE.read_text(encoding="utf-8").partition("## It doesn't start")[2]
    table = section.partition(f"| {heading} |")[2].partition("\n\n")[0]
    found = re.findall(r"^\| `(.+?)` \| `(.+?)` \|", table, re.MULTILINE)
    assert len(found) == table.count("\n") - 1, f"a row of {heading!r} isn't read"
    return found


def says(answer: str, refusal: BaseException) -> bool:
    return bool(re.fullmatch(re.escape(answer).replace(re.escape("..."), ".+"), str(refusal)))


@pytest.mark.parametrize(("assignment", "answer"), rows("a variable"))
def test_a_variable_is_answered_as_the_page_says(
    assignment: str, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, _, value = assignment.partition("=")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(variables, "TABLE", [])
    with pytest.raises(ImproperlyConfigured) as refusal:
        runpy.run_path(environment.__file__)
    assert says(answer, refusal.value), refusal.value


@pytest.mark.parametrize(("url", "answer"), rows("a database URL"))
def test_a_database_url_is_answered_as_the_page_says(url: str, answer: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        database_urls.parse(url, "DATABASE_URL")
    assert says(answer, refusal.value), refusal.value


@pytest.mark.parametrize(("line", "answer"), rows("a line in `.env`"))
def test_a_line_of_the_file_is_answered_as_the_page_says(
    line: str, answer: str, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(line)
    with pytest.raises(ImproperlyConfigured) as refusal:
        dotenv.read(tmp_path / ".env")
    assert says(answer.replace("/opt/orbit", str(tmp_path)), refusal.value), refusal.value
