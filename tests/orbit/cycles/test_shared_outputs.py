"""An output that is the cycle's input, byte for byte, is kept once."""

from typing import Any
from uuid import UUID

import pytest

from governance.access.actors import SYSTEM
from orbit.cycles import excerpts
from orbit.cycles.progress import READ_OUTPUTS
from orbit.cycles.rerun import single
from orbit.models import CycleRun, Transformation
from orbit.pipeline import registry
from orbit.pipeline.contract import Payload
from orbit.states import Trigger
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_cycle,
    start_cycle,
)
from tests.support.receiver import OK, Receiver, http

pytestmark = pytest.mark.usefixtures("committed")
BODY = b'{"n":  1.0}'
UPPER = {"transformer": "template", "options": {"template": "made of $payload"}}
_OUTPUTS = (
    "SELECT tier, convert_from(output, 'UTF8'), output_is_input, output_sha256 = %s"
    " FROM orbit_transformation WHERE cycle_id = %s ORDER BY 1"
)


def run(settings: Any, **tiers: Any) -> CycleRun:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(tiers=tiers)
        return run_cycle(start_cycle(body=BODY))


class _RefusesOne:
    """A processor that fails once."""

    def __init__(self) -> None:
        self.payloads: list[Payload] = []

    def run(self, payload: Payload) -> Payload:
        self.payloads.append(payload)
        if len(self.payloads) == 1:
            raise ValueError("not this one")
        return payload


def outputs(cycle_id: UUID) -> list[tuple[int, bytes]]:
    read = READ_OUTPUTS.rows(cycle=cycle_id, tiers=[1, 2, 3])
    return sorted((tier, bytes(output)) for tier, output, _ in read)


def test_an_output_that_is_the_input_is_not_stored_again(settings: Any) -> None:
    cycle = run(settings, **{"2": UPPER})
    assert rows(_OUTPUTS, cycle.input_sha256, cycle.pk) == [
        (1, None, True, True),
        (2, 'made of {"n":  1.0}', False, False),
        (3, None, True, True),
    ]
    items = rows("SELECT payload FROM orbit_normalizationitem ORDER BY id")
    assert [bytes(payload) for (payload,) in items] == [BODY, b"made of " + BODY, BODY]


def test_it_is_read_from_the_input(settings: Any) -> None:
    cycle = run(settings, **{"2": UPPER})
    assert outputs(cycle.pk) == [(1, BODY), (2, b"made of " + BODY), (3, BODY)]
    tiers = Transformation.objects.filter(cycle=cycle).order_by("tier")
    shown = [excerpts.excerpt(tier, "output") for tier in tiers]
    assert shown == [BODY.decode(), "made of " + BODY.decode(), BODY.decode()]
    sizes = tiers.annotate(size=excerpts.size("output")).values_list("size", flat=True)
    assert list(sizes) == [len(BODY), len(BODY) + 8, len(BODY)]


def test_a_rerun_reads_it_from_the_input_of_the_cycle_that_made_it(settings: Any) -> None:
    with Receiver(http("410 Gone", b"")) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old = run_cycle(start_cycle(body=BODY))
        new = single.start(old.pk, actor=SYSTEM, reason="r", source=Trigger.REST)
    # The reused tier says whose input it is.
    rows("UPDATE orbit_cyclerun SET input = 'other' WHERE id = %s RETURNING 1", new)
    assert outputs(new) == [(1, BODY), (2, BODY), (3, BODY)]


def test_an_output_without_an_item_is_stored_whole(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A re-run makes its item; a worker of an earlier release reads nothing but this column."""
    processor = _RefusesOne()
    monkeypatch.setattr(registry, "processor", lambda name: processor)
    cycle = run(settings)
    assert rows(_OUTPUTS, cycle.input_sha256, cycle.pk) == [
        (1, BODY.decode(), False, True),
        (2, None, True, True),
        (3, None, True, True),
    ]


def test_an_output_that_is_saved_before_its_item_is_stored_whole(settings: Any) -> None:
    with Receiver(OK) as receiver, Receiver(http("200 OK", BODY)) as service:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(tiers={"2": {"transformer": "http", "options": {"url": service.url}}})
        cycle = run_cycle(start_cycle(body=BODY))
    assert rows(_OUTPUTS, cycle.input_sha256, cycle.pk) == [
        (tier, BODY.decode(), False, True) for tier in (1, 2, 3)
    ]
