"""Pages use the words of docs/glossary.md."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")])
#: Words of our own for things that have a usual name, and phrases that aren't plain English.
PRIVATE = re.compile(
    r"\b(births?|deeds?|tally|strays?|orphans?|lineage|lanes?|keepers?|lifelines?|bring_home"
    r"|absorbs?|bury|takeovers?|standings?|people|persons?|whoever|somebody|nobody"
    r"|signs? of life|such as were)\b",
    re.IGNORECASE,
)
#: Other projects' words, names of the contract, and words that are gone.
ALLOWED = {
    "docs/glossary.md": {"lifeline", "takeover"},
    "CHANGELOG.md": {"lanes"},
}


def private_words(text: str) -> set[str]:
    return {word.lower() for word in PRIVATE.findall(text)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_no_private_word(page: Path) -> None:
    words = private_words(page.read_text())
    assert words - ALLOWED.get(str(page.relative_to(PROJECT)), set()) == set()
