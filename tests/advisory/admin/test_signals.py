"""Signals in the console: the list, the page of one, and the button that computes them."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from advisory.models import AdvisorySignal, SignalComputation
from advisory.signals import in_words
from governance.access.actors import SYSTEM
from governance.kernel import clock
from governance.kernel.identifiers import uuid7
from tests.support import advice, advisory_signals, callers
from tests.support.callers import create_user
from tests.support.configuration import active_cycle

pytestmark = pytest.mark.django_db

LIST = "/admin/advisory/advisorysignal/"
HOSTILE = "<script>alert(1)</script>"


def numbers(cycle_id: Any = None) -> dict[str, Any]:
    now = clock.read()

    def period(days: int, length: int, succeeded: int, interval: list[float]) -> dict[str, Any]:
        start = now - timedelta(days=days)
        return {
            "from": start.isoformat(),
            "to": (start + timedelta(days=length)).isoformat(),
            "ended": 100,
            "succeeded": succeeded,
            "success_rate": succeeded / 100,
            "interval": interval,
            "partial": 1,
            "failed": 99 - succeeded,
            "cancelled": 0,
        }

    return {
        "window": period(7, 7, 61, [0.52, 0.69]),
        "baseline": period(28, 21, 97, [0.92, 0.99]),
        "latency_ms": {"window": {"p50": 1250.0, "p95": None}, "baseline": {}},
        "cycles": {"not_succeeded": [str(cycle_id)] if cycle_id else []},
    }


def store(**members: Any) -> AdvisorySignal:
    """Store a signal of ``daily`` in ``eu``."""
    advisory_signals.store({})
    computation = SignalComputation.objects.latest("id")
    values = {
        "profile_id": "daily",
        "namespace": "eu",
        "signal": "low_performance",
        "confidence": 0.9996,
        "method": "by a test",
        "window_from": computation.window_from,
        "window_to": computation.window_to,
        "evidence": numbers(),
        "recommendation": "61.0% of 100 cycles succeeded.",
        **members,
    }
    return AdvisorySignal.objects.create(id=uuid7(), computation=computation, **values)


def test_a_page_has_sentence_numbers_plot_cycles_and_proposals() -> None:
    advice.store_documents()
    cycle = active_cycle("eu")
    signal = store(evidence=numbers(cycle.pk))
    advice.propose(signal=signal, title="Raise it")
    client = callers.console(create_user("vic", "Viewer"))
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(f"{LIST}{signal.pk}/change/")
    page = answer.content.decode()
    assert len(queries) <= 30
    assert '<p id="verdict">61.0% of 100 cycles succeeded.</p>' in page
    assert "61.0% (52% to 69%)" in page
    assert "1,250 ms" in page
    assert "at most 0.04 %" in page
    assert f'href="/admin/orbit/cyclerun/{cycle.pk}/change/"' in page
    assert "Raise it" in page
    assert "2 of 2 have data, last 61 %" in page
    assert "style=" not in page[page.index('<svg class="plot') : page.rindex("</svg>")]


def test_the_list_has_no_confidence_without_its_sample() -> None:
    store()
    page = callers.console(create_user("vic", "Viewer")).get(LIST).content.decode()
    assert "0.9996 from 100 cycles" in page


def test_text_of_others_is_shown_as_text() -> None:
    advice.store_documents()
    signal = store(profile_id=HOSTILE, method=HOSTILE, recommendation=HOSTILE)
    client = callers.console(create_user("vic", "Viewer"))
    for path in (LIST, f"{LIST}{signal.pk}/change/"):
        page = client.get(path).content.decode()
        assert HOSTILE not in page
        assert "&lt;script&gt;alert(1)" in page


def test_a_signal_without_enough_cycles_has_no_plot_and_no_confidence() -> None:
    signal = store(signal="insufficient_data", confidence=0, evidence={})
    client = callers.console(create_user("vic", "Viewer"))
    page = client.get(f"{LIST}{signal.pk}/change/").content.decode()
    assert 'class="plot"' not in page
    assert "0.0000" not in page
    assert "Too few cycles ended" in page


def test_users_who_are_confined_elsewhere_get_404() -> None:
    signal = store()
    client = callers.console(create_user("bea", "Reviewer", "us"))
    assert client.get(f"{LIST}{signal.pk}/change/").status_code == 404
    assert b"daily" not in client.get(LIST).content


@pytest.mark.parametrize(
    ("role", "may"), [("Viewer", False), ("Configurator", False), ("Operator", True)]
)
def test_operators_and_reviewers_compute_signals(role: str, may: bool) -> None:
    advice.store_documents()
    client = callers.console(create_user("ann", role))
    assert (b"Compute signals" in client.get(LIST).content) is may
    answer = client.post(f"{LIST}compute/", follow=True)
    assert answer.status_code == (200 if may else 403)
    assert AdvisorySignal.objects.exists() is may
    if may:
        assert "1 signal computed: 1 insufficient data." in answer.content.decode()


def test_the_series_has_the_usual_range_and_a_gap_where_too_few_cycles_ended() -> None:
    for days, kind in ((3, "stable"), (2, "insufficient_data"), (1, "low_performance")):
        signal = store(signal=kind, confidence=0.5, created_at=clock.read() - timedelta(days=days))
    store(profile_id="other")
    points = in_words.series(signal, actor=SYSTEM)
    assert points[0].label.startswith("before ")
    assert [point.rate for point in points] == [97.0, 61.0, None, 61.0]
    assert {(point.low, point.high) for point in points} == {(92.0, 99.0)}
    page = callers.console(create_user("vic", "Viewer")).get(f"{LIST}{signal.pk}/change/")
    assert "3 of 4 have data, last 61 %" in page.content.decode()
    assert "not enough data" in page.content.decode()


def test_a_profile_that_never_succeeds_has_a_series() -> None:
    evidence = numbers()
    evidence["window"] |= {"succeeded": 0, "success_rate": 0.0, "interval": [0.0, 0.04]}
    evidence["baseline"] = {}
    points = in_words.series(store(evidence=evidence), actor=SYSTEM)
    assert [(point.rate, point.low, point.high) for point in points] == [(0.0, None, None)]
