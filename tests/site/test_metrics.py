"""/metrics shows the state of the database."""

from typing import Any

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from governance.access.actors import SYSTEM
from orbit.conductor import leases
from orbit_site import metrics
from tests.support.callers import Api, api, console, create_user
from tests.support.conductor import leaves, run
from tests.support.configuration import active_cycle
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_cycle,
    start_cycle,
)
from tests.support.receiver import OK, Receiver


def _samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


@pytest.mark.django_db
def test_the_conductors_work_is_counted_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    run(*leaves(5))
    leases.claim(SYSTEM, "w", 2, 30)
    user = create_user()

    def numbers() -> list[float]:
        samples = _samples(api(user).get("/metrics").content.decode())
        names = ("runs_open", "tasks_ready", "tasks_held")
        return [samples[f"orbit_conductor_{name}", ()] for name in names]

    assert numbers() == [1, 3, 2]
    monkeypatch.setattr(metrics, "MOST_TASKS", 2)
    assert numbers() == [1, 2, 2]


@pytest.mark.usefixtures("committed")
def test_the_numbers_are_those_of_the_tables(settings: Any) -> None:
    with Receiver(OK) as good:
        configure_endpoints(settings, **{"default-endpoint": good.url})
        configure_profiles()
        run_cycle(start_cycle())
    active_cycle()
    answer = api(create_user()).get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    samples = _samples(answer.content.decode())
    for status, count in rows("SELECT status, count(*) FROM orbit_cyclerun GROUP BY status"):
        assert samples["orbit_cycles", (("status", status),)] == count
    assert samples["orbit_dispatch_jobs", (("status", "delivered"),)] == 3
    assert samples["orbit_dead_letters", (("status", "open"),)] == 0
    assert samples["orbit_cycles_due", ()] == 1
    assert (
        samples["orbit_delivery_latency_seconds_count", ()]
        == samples["orbit_delivery_latency_seconds_bucket", (("le", "+Inf"),)]
        == 3
    )
    assert samples["orbit_delivery_latency_seconds_sum", ()] > 0
    assert samples["orbit_cycle_duration_seconds_count", ()] == 1
    assert samples["orbit_stage_duration_seconds_count", (("stage", "transformations"),)] == 1
    assert {
        "orbit_queue_depth",
        "orbit_queue_age_seconds",
        "orbit_lease_losses",
        "orbit_halted_namespaces",
        "orbit_clusters",
    } <= {name for name, _ in samples}


@pytest.mark.django_db
def test_the_scrape_token_reads_metrics_and_nothing_else(settings: Any) -> None:
    settings.ORBIT_METRICS_TOKEN = "scrape-me"
    scraper = Api("scrape-me")
    assert (
        scraper.get(
            "/metrics",
            Accept="application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
        ).status_code
        == 200
    )
    assert scraper.get("/cycles").status_code == 401
    assert Api("scrape-m").get("/metrics").status_code == 401
    assert (
        Client().get("/metrics", headers={"Authorization": "bearer scrape-me"}).status_code == 200
    )
    assert Client().get("/metrics", headers={"Authorization": "Basic scrape-me"}).status_code == 401
    settings.ORBIT_METRICS_TOKEN = ""
    assert Api("").get("/metrics").status_code == 401


@pytest.mark.django_db
def test_a_person_who_may_read_reads_metrics_in_the_browser() -> None:
    assert console(create_user("vic", "Viewer")).get("/metrics").status_code == 200
