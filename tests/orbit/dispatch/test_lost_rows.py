"""A failover may lose the last commits: no cycle fails for what a worker remembers of them."""

from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orbit.dispatch import enqueue
from orbit.models import EndpointSnapshot, EndpointState
from orbit_site.processes.postgres import Server
from tests.support.pipeline import configure_endpoints, configure_profiles, run_cycle, start_cycle
from tests.support.receiver import Receiver

pytestmark = pytest.mark.usefixtures("committed")
LOST = (
    "DELETE FROM orbit_deliveryreceipt",
    "DELETE FROM orbit_dispatchjob",
    "DELETE FROM orbit_endpointsnapshot",
    "DELETE FROM orbit_endpointstate",
)


def lose_endpoints(server: Server, name: str) -> None:
    with psycopg.connect(server.url("orbit_owner", name), autocommit=True) as owner:
        for statement in LOST:
            owner.execute(statement)


@pytest.mark.parametrize("slow", [False, True], ids=["in one write", "after slow tiers"])
def test_the_next_cycle_saves_a_lost_snapshot_again_and_succeeds(
    committed: str, server: Server, settings: Any, *, slow: bool
) -> None:
    with Receiver() as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url, other=receiver.url)
        tier = {"transformer": "http", "options": {"url": receiver.url}}
        configure_profiles({"1": tier} if slow else None)
        assert run_cycle(start_cycle()).status == "success"
        lose_endpoints(server, committed)
        assert run_cycle(start_cycle()).status == "success"
    assert EndpointSnapshot.objects.count() == 2


def test_a_job_is_never_left_out(committed: str, server: Server, settings: Any) -> None:
    with Receiver() as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url, other=receiver.url)
        configure_profiles(r1={"distribution_targets": ["default-endpoint", "other"]})
        run_cycle(start_cycle())
        lose_endpoints(server, committed)
        enqueue.snapshot_id(enqueue.endpoints.configured()["other"])
        before = len(receiver.requests)
        assert run_cycle(start_cycle()).status == "success"
        assert len(receiver.requests) == before + 6


def test_lost_endpoints_and_caps_are_saved_again_and_right_ones_are_left_alone(
    committed: str, server: Server, settings: Any
) -> None:
    configure_endpoints(settings, one="http://127.0.0.1:1/", two="http://127.0.0.1:2/")
    enqueue.save_configured()
    with CaptureQueriesContext(connection) as captured:
        enqueue.restore_configured()
    assert len(captured) == 1
    EndpointState.objects.filter(endpoint_key="one").update(max_concurrency=7)
    enqueue.restore_configured()
    assert EndpointState.objects.get(endpoint_key="one").max_concurrency is None
    lose_endpoints(server, committed)
    enqueue.restore_configured()
    assert EndpointSnapshot.objects.count() == 2
