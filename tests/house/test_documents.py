"""Documents that are made from code say what the code says."""

from orbit_site import documentation
from orbit_site.settings import environment


def test_the_documents_made_from_code_are_up_to_date() -> None:
    stale = [
        path.name
        for path, text in documentation.documents(environment.BASE_DIR).items()
        if path.read_text() != text
    ]
    assert stale == [], "run `make docs`"
