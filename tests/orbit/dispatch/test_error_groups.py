"""Groups: what the errors of letters have in common, whatever differs from one to the next."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from governance.access.actors import SYSTEM
from orbit.dispatch import error_groups
from orbit.models import DeadLetterDispatch
from orbit_site.overview import summary
from tests.support.dead_letters import create_dead_letters
from tests.support.pipeline import configure_endpoints, rows

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture(autouse=True)
def _endpoints(committed: str, settings: Any) -> None:
    configure_endpoints(
        settings, default_endpoint="http://127.0.0.1:9/x", other="http://127.0.0.1:9/y"
    )


@pytest.mark.parametrize(
    ("error", "pattern"),
    [
        ("HTTP 503", "HTTP 503"),
        ("", ""),
        ("no answer within 20.0 s", "no answer within #.# s"),
        ("connection to 10.1.2.3:49152 refused", "connection to <address>:# refused"),
        ("order 6f9619ff-8b86-d011-b42d-00cf4fc964ff\n is\tknown", "order <id> is known"),
        ("at 2026-01-31T06:00:00.123Z and 2026-01-31 06:00:00 +0100", "at <time> and <time>"),
        (
            "pointer 0x7ffdeadbeef, commit deadbeef12, not facade",
            "pointer <hex>, commit <hex>, not facade",
        ),
        ("\u0665 and \u00fc 12" + "x" * 500, "\u0665 and \u00fc #" + "x" * 191),
    ],
)
def test_a_pattern_is_the_error_without_ids_numbers_addresses_and_times(
    error: str, pattern: str
) -> None:
    [(answer,)] = rows("SELECT orbit_error_pattern(%s)", error)
    assert answer == pattern


def test_letters_of_one_cause_are_one_group_and_others_are_not() -> None:
    create_dead_letters(3, error="connection to 10.0.0.{i}:4{i} refused", code=None)
    create_dead_letters(2, namespace="b", error="connection to 10.0.0.9:5 refused", code=None)
    create_dead_letters(1, key="other", error="connection to 10.0.0.9:5 refused", code=None)
    create_dead_letters(1, reason="status_410", error="HTTP 410", code=410)
    resolved = create_dead_letters(1)
    DeadLetterDispatch.objects.filter(pk__in=resolved).update(status="dismissed")
    groups = error_groups.largest(SYSTEM)
    summaries = [
        (
            group.endpoint_key,
            group.reason,
            group.status_code,
            group.error,
            group.count,
            group.namespaces,
        )
        for group in groups
    ]
    assert summaries[0] == (
        "default-endpoint",
        "retries_exhausted",
        None,
        "connection to <address>:# refused",
        5,
        2,
    )
    assert sorted(summaries[1:]) == [
        ("default-endpoint", "status_410", 410, "HTTP 410", 1, 1),
        ("other", "retries_exhausted", None, "connection to <address>:# refused", 1, 1),
    ]
    newest = DeadLetterDispatch.objects.filter(error_group=groups[0].group).order_by("-id").first()
    assert newest is not None
    assert (
        groups[0].example_id,
        groups[0].first_at <= groups[0].last_at,
        len(groups[0].group),
    ) == (
        newest.pk,
        True,
        16,
    )
    assert [
        group.count for group in error_groups.largest(replace(SYSTEM, namespaces=frozenset({"b"})))
    ] == [2]
    assert error_groups.largest(replace(SYSTEM, namespaces=frozenset())) == []
    assert [group.count for group in error_groups.largest(SYSTEM, limit=1)] == [5]


def test_no_more_letters_are_counted_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    create_dead_letters(5)
    monkeypatch.setattr(error_groups, "MAX_COUNTED", 3)
    assert [group.count for group in error_groups.largest(SYSTEM)] == [3]


@pytest.mark.parametrize(
    ("first_minutes", "last_minutes", "growing"),
    [(120, 5, True), (120, 30, False), (0, 0, False)],
)
def test_a_group_grows_alike_in_the_list_and_on_the_dashboard(
    first_minutes: int, last_minutes: int, growing: bool
) -> None:
    for letter, minutes in zip(create_dead_letters(2), (first_minutes, last_minutes), strict=True):
        DeadLetterDispatch.objects.filter(pk=letter).update(
            created_at=Now() - timedelta(minutes=minutes)
        )
    [(_, state, *_)] = error_groups.read(SYSTEM).rows()
    assert state == ("growing" if growing else "open")
    [thing] = [
        thing for thing in summary.of(SYSTEM, seconds=0.0).things if thing.kind == "dead_letters"
    ]
    assert thing.sentence.endswith("; still growing") == growing
