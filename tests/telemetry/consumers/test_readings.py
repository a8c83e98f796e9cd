"""Artifacts, metrics and policy violations are read from events, each once."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from telemetry import database, staging
from telemetry.consumers import registry
from telemetry.events import COLUMNS
from telemetry.ingest import copy_text
from telemetry.ingest.copy_text import line
from tests.support.task_events import at, event, rows, store, task_event

pytestmark = pytest.mark.django_db(databases="__all__")

SHA = "ab" * 32
COPY = f"COPY telemetry_staging (ordinal, {', '.join(COLUMNS)}) FROM STDIN"
#: JSON of every type, and numbers that no column holds.
JUNK: list[Any] = [None, True, -1, 1.5, 1e300, 10**400, "", "x" * 3000, [], [1], {}, {"a": {}}]


def test_an_artifact_has_its_path_size_hash_and_task() -> None:
    metadata = {"path_name": "a/b.xml", "size": 3, "sha256": SHA.upper(), "media_type": "text/xml"}
    store(task_event("artifact_emit", 1, metadata=metadata, namespace="eu"))
    assert rows(
        "SELECT namespace, session_id, task_id, path_name, size, sha256, media_type, occurred_at"
        " FROM telemetry_artifact"
    ) == [("eu", "s", "t", "a/b.xml", 3, SHA, "text/xml", at(1))]


def test_a_large_artifact_has_no_hash() -> None:
    store(event("artifact_emit", 1, metadata={"path_name": "big", "size": 60_000_000}))
    assert rows("SELECT size, sha256, media_type FROM telemetry_artifact") == [
        (60_000_000, None, None)
    ]


def test_a_metric_has_its_value_and_labels() -> None:
    labels = {"host": "a"}
    store(event("metric", 1, metadata={"name": "rows", "value": 1.5, "labels": labels}))
    assert rows("SELECT name, value, labels->>'host', at FROM telemetry_metric") == [
        ("rows", 1.5, "a", at(1))
    ]


@pytest.mark.parametrize("value", [0, -1.5, 1.7976931348623157e308, 5e-324, 12345678901234567890])
def test_a_metric_holds_every_number_that_ingest_accepts(value: float) -> None:
    store(event("metric", 1, metadata={"name": "rows", "value": value}))
    assert rows("SELECT value FROM telemetry_metric") == [(float(value),)]


@pytest.mark.parametrize(
    ("metadata", "metrics"),
    [
        (
            {"provider_type": "Microsoft", "provider_cache_hit": True},
            {"provider_type": 1, "provider_cache_hit": 1},
        ),
        (
            {"provider_type": "System", "provider_cache_hit": 0},
            {"provider_type": 2, "provider_cache_hit": 0},
        ),
        ({"provider_type": 2}, {"provider_type": 2}),
        ({"provider_cache_hit": False}, {"provider_cache_hit": 0}),
        ({"provider_type": "Other"}, {}),
        ({}, {}),
    ],
)
def test_a_provider_is_a_number(metadata: dict[str, Any], metrics: dict[str, int]) -> None:
    store(task_event("task_start", 1, metadata=metadata))
    assert dict(rows("SELECT name, value FROM telemetry_metric")) == metrics


def test_the_provider_is_a_label_too() -> None:
    store(task_event("task_start", 1, metadata={"provider_type": "System"}))
    assert rows("SELECT labels->>'provider', session_id FROM telemetry_metric") == [("System", "s")]


def test_a_violation_without_a_host_has_an_empty_one() -> None:
    found = {"file": "a.ps1", "policy": "p", "rule": "r", "severity": "high"}
    store(event("policy_violation", 1, metadata=found))
    store(event("policy_violation", 2, metadata={**found, "host": "h1"}))
    assert rows(
        "SELECT file, policy, rule, severity, host FROM telemetry_policyviolation"
        " ORDER BY occurred_at"
    ) == [("a.ps1", "p", "r", "high", ""), ("a.ps1", "p", "r", "high", "h1")]


@pytest.mark.parametrize("column", ["file", "policy", "rule", "severity", "host"])
def test_the_database_keeps_a_violation_without_nulls(column: str) -> None:
    store(
        event(
            "policy_violation",
            1,
            metadata={"file": "f", "policy": "p", "rule": "r", "severity": "low"},
        )
    )
    with pytest.raises(IntegrityError, match=column), transaction.atomic(using=database.ALIAS):
        rows(f"UPDATE telemetry_policyviolation SET {column} = NULL")


def test_an_event_that_comes_again_adds_nothing() -> None:
    events = [
        event("artifact_emit", 1, 1, metadata={"path_name": "a", "size": 1}),
        event("metric", 1, 2, metadata={"name": "m", "value": 1}),
        task_event("task_start", 1, 3, metadata={"provider_type": "System"}),
    ]
    store(*events)
    store(*reversed(events), events[0])
    assert rows(
        "SELECT (SELECT count(*) FROM telemetry_artifact), (SELECT count(*) FROM telemetry_metric)"
    ) == [(1, 2)]


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("artifact_emit", {"path_name": "a", "size": 1, "sha256": SHA, "media_type": "m"}),
        ("metric", {"name": "m", "value": 1, "labels": {}}),
        (
            "policy_violation",
            {"file": "f", "policy": "p", "rule": "r", "severity": "low", "host": "h"},
        ),
        ("error", {"message": "m"}),
        (
            "task_start",
            {
                "title": "T",
                "priority": 1,
                "tags": [],
                "provider_type": "System",
                "provider_cache_hit": True,
            },
        ),
        ("task_end", {"success": True}),
        ("decision", {"status": "pending"}),
    ],
)
def test_an_old_event_of_any_shape_fails_no_batch(name: str, members: dict[str, Any]) -> None:
    odd = [
        task_event(name, number, metadata={**members, member: junk})
        for number, (member, junk) in enumerate((m, j) for m in members for j in JUNK)
    ]
    absent = [
        task_event(name, 500, metadata={m: v for m, v in members.items() if m != member})
        for member in members
    ]
    store(*odd, *absent, task_event(name, 600, metadata=members))
    (stored,) = rows("SELECT count(*) FROM telemetry_telemetryevent")
    assert stored == (len(odd) + len(absent) + 1,)


def test_consumers_run_only_for_their_events(django_assert_num_queries: Any) -> None:
    events = [event("command_start", 1), event("event_insert", 2)]
    store(*events)
    with transaction.atomic(using=database.ALIAS):
        staging.prepare()
        copy_text.send(COPY, b"".join(b"%d\t%b" % (n, line(e)) for n, e in enumerate(events)))
        with django_assert_num_queries(1, connection=database.connection()):
            registry.consume()
