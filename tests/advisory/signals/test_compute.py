"""Signals, from events to rows."""

import pytest

from advisory.signals import compute
from governance.access.actors import SYSTEM
from tests.support.configuration import profile, run_profile, store_profiles
from tests.support.cycle_events import cycles, store

pytestmark = pytest.mark.django_db(databases="__all__")


def test_a_profile_that_got_worse_is_low_and_one_that_did_not_is_stable() -> None:
    store_profiles([profile(), profile("other")], [run_profile(), run_profile("o", "other")])
    store(
        cycles(30, 20, days_ago=2),
        cycles(100, 1, days_ago=20),
        cycles(50, 1, profile_id="other"),
        cycles(60, 1, profile_id="other", days_ago=9),
    )
    done = compute.compute(actor=SYSTEM)
    assert [(row.profile_id, row.signal) for row in done.signals] == [
        ("daily", "low_performance"),
        ("other", "stable"),
    ]
