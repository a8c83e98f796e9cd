"""Retention keeps the cycles of a proposal's signal, as long as the proposal is pending."""

from datetime import timedelta

import pytest

from advisory.decisions import decide
from advisory.models import AdvisorySignal
from advisory.states import Proposal, Verdict
from governance.kernel import clock
from orbit.models import CycleRun
from tests.support import advice, advisory_signals, callers, old_rows, recorded_cycles

pytestmark = pytest.mark.django_db


def test_cycles_of_a_pending_proposals_signal_stay_until_it_is_decided() -> None:
    advice.store_documents("eu", "us")
    window_to = clock.read() - timedelta(days=100)
    ids = {
        name: recorded_cycles.record(
            1,
            namespace=namespace,
            profile_id=profile,
            created_at=window_to - timedelta(days=days),
        )[0]
        for name, namespace, profile, days in (
            ("in the window", "eu", "daily", 1),
            ("in the baseline", "eu", "daily", 27),
            ("before it", "eu", "daily", 29),
            ("of another namespace", "us", "daily", 1),
            ("of another profile", "eu", "weekly", 1),
        )
    }
    old_rows.make_old()
    advisory_signals.store({("daily", "eu"): ("low_performance", 0.99)}, to=window_to)
    proposal = advice.propose(signal=AdvisorySignal.objects.get())
    done = old_rows.prune()
    assert done.kept["cycles"] == {"a pending proposal refers to it": 2}
    kept = {ids["in the window"], ids["in the baseline"]}
    assert set(CycleRun.objects.values_list("id", flat=True)) == kept
    decide.decide(
        proposal.pk,
        Verdict.REJECT,
        actor=callers.actor_of(callers.create_user("rita", "Reviewer")),
        reason="no",
    )
    assert advice.state_of(proposal) == str(Proposal.REJECTED)
    assert old_rows.prune().deleted["cycles"] == 2
