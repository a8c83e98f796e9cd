"""A cycle is a trace: its spans, as a collector gets them."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from governance.access.actors import SYSTEM
from orbit.cycles import cancel, trigger
from orbit.models import CycleRun
from orbit.states import Trigger
from orbit.tracing import ids, report, spans
from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.callers import api, create_user
from tests.support.clusters import cluster, endpoint
from tests.support.collector import Collector, attributes, collecting
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_cycle,
    start_cycle,
)
from tests.support.polling import until
from tests.support.receiver import OK, Receiver, http, silent

pytestmark = pytest.mark.usefixtures("committed")

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNAVAILABLE = http("503 Service Unavailable", b"the secret payload")


@pytest.fixture
def collector(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting(settings, monkeypatch) as collector:
        yield collector


def by_name(found: list[Any]) -> dict[str, list[Any]]:
    named: dict[str, list[Any]] = {}
    for span in found:
        named.setdefault(span.name, []).append(span)
    return named


def test_a_cycle_with_retries_is_one_trace_with_each_stage_tier_and_attempt(
    settings: Any, collector: Collector
) -> None:
    with (
        Receiver(UNAVAILABLE, http("200 OK", b"from the tier")) as tier,
        Receiver(UNAVAILABLE, OK) as target,
    ):
        configure_endpoints(settings, default_endpoint=target.url)
        configure_profiles(
            {"1": {"transformer": "http", "options": {"url": tier.url}, "backoff_base": 0.01}}
        )
        cycle = run_cycle(start_cycle("r1", b'{"x": "the secret payload"}'))
    report.stop()
    found = collector.of_cycle(cycle.pk)
    assert collector.services() == {"orbit"}
    names = by_name(found)
    assert {name: len(spans) for name, spans in names.items()} == {
        "cycle": 1,
        "initiation": 1,
        "transformations": 1,
        "tier 1": 2,
        "tier 2": 1,
        "tier 3": 1,
        "normalization": 1,
        "dispatch": 1,
        "deliver default-endpoint": 4,
    }
    (root,) = names["cycle"]
    ids_of_spans = {span.span_id for span in found}
    assert len(ids_of_spans) == len(found)
    assert root.parent_span_id == b""
    assert all(span.parent_span_id in ids_of_spans for span in found if span is not root)
    (stage,) = names["dispatch"]
    assert {span.parent_span_id for span in names["deliver default-endpoint"]} == {stage.span_id}
    assert attributes(root)["orbit.status"] == "success"
    assert root.status.code == 0
    failed = [span for span in found if span.status.code == 2]
    assert sorted((span.name, span.status.message) for span in failed) == [
        ("deliver default-endpoint", "HTTP 503"),
        ("tier 1", "The answer was HTTP 503."),
    ]
    for span in found:
        assert attributes(span)["orbit.cycle_id"] == str(cycle.pk)
        assert attributes(span)["orbit.namespace"] == "a"
        assert root.start_time_unix_nano <= span.start_time_unix_nano + 50_000_000
        assert span.start_time_unix_nano <= span.end_time_unix_nano
    sent = b"".join(request.body for request in collector.receiver.requests)
    assert b"secret payload" not in sent
    assert b"token-of" not in sent
    _check_headers(cycle, names, [*tier.requests], [*target.requests])


def _check_headers(
    cycle: CycleRun, names: dict[str, list[Any]], tiers: list[Any], deliveries: list[Any]
) -> None:
    """Each request names the span that sent it."""
    for requests, spans_of_it in (
        (tiers, names["tier 1"]),
        (deliveries, names["deliver default-endpoint"]),
    ):
        assert {request.headers["traceparent"] for request in requests} == {
            f"00-{cycle.pk.hex}-{span.span_id.hex()}-01" for span in spans_of_it
        }


def test_a_cycle_continues_the_trace_of_its_trigger(settings: Any, collector: Collector) -> None:
    with Receiver(OK) as target:
        configure_endpoints(settings, default_endpoint=target.url)
        configure_profiles()
        client = api(create_user())
        answer = client.post("/cycles/trigger", {"run_profile_id": "r1"}, traceparent=CALLER)
        cycle = run_cycle(UUID(answer.json()["cycle_run_id"]))
    report.stop()
    assert cycle.traceparent == CALLER
    found = collector.spans()
    assert {span.trace_id.hex() for span in found} == {CALLER.split("-")[1]}
    (root,) = by_name(found)["cycle"]
    assert root.parent_span_id.hex() == CALLER.split("-")[2]
    assert all(
        request.headers["traceparent"].startswith(CALLER[:36]) for request in target.requests
    )


def test_a_trace_that_its_caller_drops_isnt_sent(settings: Any, collector: Collector) -> None:
    dropped = CALLER[:-2] + "00"
    with Receiver(OK) as target:
        configure_endpoints(settings, default_endpoint=target.url)
        configure_profiles()
        client = api(create_user())
        answer = client.post("/cycles/trigger", {"run_profile_id": "r1"}, traceparent=dropped)
        run_cycle(UUID(answer.json()["cycle_run_id"]))
    report.stop()
    assert collector.spans() == []
    assert {request.headers["traceparent"][-2:] for request in target.requests} == {"00"}


def test_a_header_of_the_endpoints_own_is_kept(settings: Any, collector: Collector) -> None:
    from orbit.dispatch.endpoints import Delivery, Endpoint, build_request

    endpoint = Endpoint("k", "https://x.example", "t", headers={"Traceparent": "mine"})
    delivery = Delivery("d", "text/plain", 1, traceparent=CALLER)
    headers = build_request(endpoint, delivery, b"").headers
    assert [value for name, value in headers.items() if name.lower() == "traceparent"] == ["mine"]


def test_a_cancelled_cycle_ends_its_trace_with_the_reason(collector: Collector) -> None:
    configure_profiles()
    cycle_id = start_cycle()
    cancel.cancel(cycle_id, actor=SYSTEM, reason="no longer wanted")
    report.stop()
    (root,) = collector.of_cycle(cycle_id)
    assert (root.name, root.status.code) == ("cycle", 2)
    assert "no longer wanted" in root.status.message
    assert attributes(root)["orbit.status"] == "cancelled"


def test_a_cycle_that_several_processes_run_is_one_trace(collector: Collector) -> None:
    cycle_id = UUID("01930000-0000-7000-8000-000000000001")
    report.written([], cycle_id=cycle_id, traceparent=None, namespace="a", profile_id=None)
    trace = ids.of_cycle(cycle_id, None)
    here = report.header(cycle_id, None, spans.tier_key(1, 2))
    code = (
        "import django; django.setup()\n"
        "from uuid import UUID\n"
        "from orbit.tracing import report, spans\n"
        f"print(report.header(UUID('{cycle_id}'), None, spans.tier_key(1, 2)))\n"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "orbit_site.settings"}
    there = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == here == trace.header(spans.tier_key(1, 2), sampled=True)


@pytest.mark.parametrize("answers", [(silent,), (UNAVAILABLE,), (http("400 Bad Request", b""),)])
def test_a_collector_that_fails_or_says_nothing_doesnt_hold_up_a_cycle(
    settings: Any, monkeypatch: pytest.MonkeyPatch, answers: Any
) -> None:
    with Receiver(OK) as target, collecting(settings, monkeypatch, *answers) as collector:
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
        configure_endpoints(settings, default_endpoint=target.url)
        configure_profiles()
        for _ in range(3):
            assert run_cycle(start_cycle()).status == "success"
        began = time.monotonic()
        report.stop()
        # The SDK would wait for 10 seconds or more.
        assert time.monotonic() - began < report.STOP_SECONDS + 5
        assert collector.receiver.requests


def test_without_a_collector_cycles_go_on(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver(OK) as target, collecting(settings, monkeypatch) as collector:
        collector.receiver.stop()
        configure_endpoints(settings, default_endpoint=target.url)
        configure_profiles()
        assert run_cycle(start_cycle()).status == "success"


def test_a_setting_that_the_sdk_refuses_turns_traces_off_with_a_warning(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Receiver(OK) as target, collecting(settings, monkeypatch):
        monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
        configure_endpoints(settings, default_endpoint=target.url)
        configure_profiles()
        assert run_cycle(start_cycle()).status == "success"
    assert len([r for r in caplog.records if "Traces are off" in r.getMessage()]) == 1
    assert not any("traceparent" in request.headers for request in target.requests)


def test_off_no_header_is_sent_and_the_callers_span_is_kept(settings: Any) -> None:
    with Receiver(OK) as target:
        configure_endpoints(settings, default_endpoint=target.url)
        configure_profiles()
        client = api(create_user())
        answer = client.post("/cycles/trigger", {"run_profile_id": "r1"}, traceparent=CALLER)
        run_cycle(UUID(answer.json()["cycle_run_id"]))
    assert not any("traceparent" in request.headers for request in target.requests)
    assert rows("SELECT traceparent FROM orbit_cyclerun") == [(CALLER,)]


def test_an_odd_traceparent_is_ignored(settings: Any) -> None:
    configure_profiles()
    client = api(create_user())
    answer = client.post("/cycles/trigger", {"run_profile_id": "r1"}, traceparent="x" * 5000)
    assert answer.status_code == 202
    assert rows("SELECT traceparent FROM orbit_cyclerun") == [(None,)]


OFF = """
import django; django.setup()
import sys
from orbit import tasks
from orbit.cycles.runner import WorkerProcess
from tests.support.pipeline import run_cycle, start_cycle
tasks.worker = WorkerProcess()
status = run_cycle(start_cycle()).status
print(status, any(name.partition(".")[0] == "opentelemetry" for name in sys.modules))
"""


@pytest.mark.processes
def test_off_nothing_of_opentelemetry_is_loaded(
    settings: Any, server: Server, committed: str
) -> None:
    configure_profiles()
    with Receiver(OK) as target:
        environment = {**os.environ, **database.environment(server, committed)}
        environment |= {**endpoint(target.url), "DJANGO_SETTINGS_MODULE": "orbit_site.settings"}
        done = subprocess.run(
            [sys.executable, "-c", OFF],
            cwd=database.PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stdout.split() == ["success", "False"], done.stderr


@pytest.mark.processes
@pytest.mark.slow
def test_a_forked_worker_sends_its_spans_before_its_drain_ends(
    server: Server, committed: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Receiver(OK) as target, Receiver(OK) as receiver:
        collector = Collector(receiver)
        variables = {
            **endpoint(target.url),
            "ORBIT_WORKERS": "1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.port}",
            # So that only the drain can have sent them.
            "OTEL_BSP_SCHEDULE_DELAY": "600000",
        }
        with cluster(server, committed, tmp_path, **variables) as running:
            running.ready(workers=1)
            cycle_id = trigger.start(
                namespace="default", source=Trigger.COMMAND, actor=SYSTEM
            ).cycle_id
            until(lambda: CycleRun.objects.get(pk=cycle_id).status == "success", "it succeeds")
            assert collector.of_cycle(cycle_id) == []
            running.stop()
            assert running.code() == 0
        names = by_name(collector.of_cycle(cycle_id))
    assert {"cycle", "initiation", "tier 1", "dispatch"} <= names.keys()
    assert len(names["deliver default-endpoint"]) == 3
    assert "are missing" not in capfd.readouterr().err
