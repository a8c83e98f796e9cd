"""Statements, names and the API change only on purpose."""

from orbit_site import contract
from tests.golden import names, openapi, statements


def test_every_statement_is_the_one_that_was_reviewed() -> None:
    kept = {path.stem: path.read_text() for path in statements.FOLDER.glob("*.sql")}
    assert statements.statements() == kept, (
        "run `python -m tests.golden.statements` and look at the diff"
    )


def test_names_that_outside_tools_use_stay() -> None:
    assert names.names() == names.FILE.read_text(), (
        "run `python -m tests.golden.names`; names may be added, not changed"
    )


def test_the_shape_of_the_api_stays() -> None:
    assert openapi.as_text(contract.document()) == openapi.FILE.read_text(), (
        "run `python -m tests.golden.openapi` only to change the API on purpose"
    )
