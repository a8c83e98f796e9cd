"""The limits of saved filters hold for two tabs at once."""

from functools import partial

import pytest

from governance.access.actors import of_user
from governance.kernel.errors import OrbitError
from governance.kernel.identifiers import uuid7
from governance.models import SavedFilter
from orbit_site.saved_filters import keep
from tests.support.callers import console, create_user
from tests.support.threads import at_once

PAGE = "/admin/saved/"


def test_parallel_calls_keep_to_the_limits(committed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    user = create_user()
    monkeypatch.setattr(keep, "MOST_OWN", 3)
    browsers = [console(user) for _ in range(6)]
    fields = {"do": "save", "address": "orbit/cyclerun/", "query": "status=failed"}
    at_once(
        *(
            partial(each.post, PAGE, {**fields, "name": f"{number}"})
            for number, each in enumerate(browsers)
        )
    )
    assert SavedFilter.objects.count() == 3


def test_parallel_pins_keep_to_their_limit(committed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep, "MOST_PINNED", 1)
    user = create_user()
    actor = of_user(user)
    rows = [
        SavedFilter(id=uuid7(), owner=user, name=f"{number}", shared=False, pinned_by=[])
        for number in range(6)
    ]
    SavedFilter.objects.bulk_create(rows)

    def pin(row: SavedFilter) -> bool:
        try:
            keep.pin(row, actor=actor, on=True)
        except OrbitError:
            return False
        return True

    assert at_once(*(partial(pin, row) for row in rows)).count(True) == 1
    assert keep.pinned(actor).count() == 1
