"""A cycle with everything that belongs to it."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.support.callers import api, create_user
from tests.support.pipeline import configure_endpoints, configure_profiles, run_cycle, start_cycle
from tests.support.receiver import Receiver, http


@pytest.mark.usefixtures("committed")
def test_a_cycle_that_ran_shows_everything_that_belongs_to_it(settings: Any) -> None:
    with (
        Receiver(http("200 OK", b"thanks")) as good,
        Receiver(http("410 Gone", b"<b>gone</b>")) as bad,
    ):
        configure_endpoints(settings, good=good.url, bad=bad.url)
        configure_profiles(r1={"namespace": "a", "distribution_targets": ["good", "bad"]})
        cycle = run_cycle(start_cycle("r1", b'{"x":1}'))
    client = api(create_user())
    with CaptureQueriesContext(connection) as queries:
        body = client.get(f"/cycles/{cycle.pk}").json()
    assert body["status"] == "partial_success"
    assert body["verdict"] == (
        "Partial success: 3 tiers; 3 of 6 deliveries done; 3 dead at bad (410). "
        "Nothing is tried again by itself."
    )
    assert body["deliveries"] == {"total": 6, "delivered": 3, "dead": 3, "cancelled": 0, "open": 0}
    assert [stage["name"] for stage in body["stages"]] == [
        "initiation",
        "transformations",
        "normalization",
        "dispatch",
    ]
    assert [(tier["tier"], tier["status"]) for tier in body["tiers"]] == [
        (1, "success"),
        (2, "success"),
        (3, "success"),
    ]
    assert (
        len(body["items"]),
        len(body["jobs"]),
        len(body["receipts"]),
        len(body["dead_letters"]),
    ) == (3, 6, 6, 3)
    assert {checkpoint["stage"] for checkpoint in body["checkpoints"]} >= {
        "cycle_started",
        "cycle_finished",
    }
    assert {record["event"] for record in body["records"]} >= {
        "cycle_started",
        "tier_attempt",
        "delivery_attempt",
        "cycle_finished",
    }
    assert {receipt["response_excerpt"] for receipt in body["receipts"]} == {
        "thanks",
        "<b>gone</b>",
    }
    assert len(queries) <= 20
    assert "token-of" not in str(body)
