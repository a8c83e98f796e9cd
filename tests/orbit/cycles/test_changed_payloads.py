"""Digests and inputs stay right if the code of a package changes its payload by force."""

from typing import Any

import pytest

from orbit.pipeline import registry
from orbit.pipeline.contract import Context, Payload, Processor, Transformer
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_cycle,
    start_cycle,
)
from tests.support.receiver import OK, Receiver

pytestmark = pytest.mark.usefixtures("committed")


def change(payload: Payload) -> Payload:
    object.__setattr__(payload, "body", payload.body + b"!")  # it is frozen
    return payload


def deliver(settings: Any) -> list[bytes]:
    """Run a cycle; return the bodies that arrived."""
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        run_cycle(start_cycle(body=b"[]"))
        return [request.body for request in receiver.requests]


def are_digests_right() -> bool:
    return rows(
        "SELECT DISTINCT i.sha256 = encode(sha256(i.payload), 'hex') AND i.sha256 = r.body_sha256"
        " FROM orbit_normalizationitem i"
        " JOIN orbit_dispatchjob j ON j.normalization_item_id = i.id"
        " JOIN orbit_deliveryreceipt r ON r.job_id = j.id"
    ) == [(True,)]


def test_the_digest_of_an_item_is_that_of_the_bytes_that_its_processor_made(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "processor", lambda name: Processor("change", change))
    assert deliver(settings) == [b"[]!"] * 3
    assert are_digests_right()


def test_a_tier_gets_the_cycles_input_whatever_another_one_made_of_it(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(payload: Payload, context: Context) -> Payload:
        return change(payload)

    changing = Transformer("change", {}, run, slow=False)
    monkeypatch.setattr(registry, "transformer", lambda name: changing)
    assert deliver(settings) == [b"[]!"] * 3
    assert are_digests_right()
