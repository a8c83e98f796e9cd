"""``POST /telemetry/events``: a verdict for each event, and the good ones are stored."""

import gzip
import json
import random
from datetime import timedelta
from typing import Any

import pytest
from django.db import DataError
from pytest_django import DjangoAssertNumQueries

from governance.access.actors import SYSTEM
from governance.kernel import clock
from governance.models import AuditTrailEntry
from governance.namespaces import halts
from telemetry.ingest import batch, limits, schema_gate, stream
from telemetry.models import TelemetryDay, TelemetryEvent
from tests.support.callers import Api, api, create_user, problem
from tests.support.events import event, ndjson

pytestmark = pytest.mark.django_db

PATH, LINES = "/telemetry/events", "application/x-ndjson"


@pytest.fixture
def client() -> Api:
    return api(create_user())


def report(answer: Any) -> tuple[int, int, list[tuple[int, str]]]:
    """Return accepted, duplicate, and index and code of the rejected."""
    assert answer.status_code == 202, answer.content[:500]
    body = answer.json()
    assert body["rejected_count"] >= len(body["rejected"])
    assert all(item["detail"] for item in body["rejected"])
    rejected = [(item["index"], item["code"]) for item in body["rejected"]]
    return body["accepted"], body["duplicate"], rejected


def stored() -> set[str]:
    return {str(row.id) for row in TelemetryEvent.objects.all()}


def test_half_a_batch_is_bad_and_the_other_half_is_stored(client: Api) -> None:
    good = [event("task_start"), event("task_end", metadata={"success": True}), event()]
    wrong = [7, event("nothing"), {**event(), "id": "x"}, event(duration_ms=-1)]
    body = [good[0], wrong[0], wrong[1], good[1], wrong[2], good[1], wrong[3], good[2]]
    codes = [(1, "not_an_object"), (2, "unknown_name"), (4, "invalid_id"), (6, "invalid_field")]
    assert report(client.post(PATH, body)) == (3, 1, codes)
    assert stored() == {item["id"] for item in good}
    assert report(client.post(PATH, body)) == (0, 4, codes)


def test_lines_and_one_object_are_events_too(client: Api) -> None:
    body = ndjson([event(), event()]) + b"\n\r\n{broken\n" + ndjson([event()]).rstrip()
    assert report(client.post(PATH, body, LINES)) == (3, 0, [(2, "invalid_json")])
    assert report(client.post(PATH, event())) == (1, 0, [])
    assert report(client.post(PATH, json.dumps(event(), indent=2).encode())) == (1, 0, [])
    assert report(client.post(PATH, ndjson([event(), event()]))) == (2, 0, [])
    assert report(client.post(PATH, [])) == (0, 0, [])
    assert report(client.post(PATH, b"\xef\xbb\xbf" + ndjson([event()]), LINES)) == (1, 0, [])
    assert report(client.post(PATH, b"rubbish\n" + ndjson([event()]), LINES)) == (
        (1, 0, [(0, "invalid_json")])
    )


def test_gzip_is_unpacked(client: Api) -> None:
    packed = gzip.compress(ndjson(event() for _ in range(100)))
    answer = client.post(PATH, packed, LINES, Content_Encoding="gzip")
    assert report(answer) == (100, 0, [])


def test_what_comes_before_a_break_in_gzip_is_stored(client: Api) -> None:
    filler = random.Random(1)
    events = [event(metadata={"n": filler.random()}) for _ in range(2_000)]
    packed = gzip.compress(ndjson(events))
    answer = client.post(PATH, packed[: len(packed) // 2], LINES, Content_Encoding="gzip")
    accepted, duplicate, rejected = report(answer)
    assert 500 < accepted < 2_000
    assert (duplicate, rejected[-1]) == (0, (accepted, "invalid_json"))
    assert "the gzip stream is broken" in answer.content.decode().lower()
    answer = client.post(PATH, gzip.compress(ndjson(events)), LINES, Content_Encoding="gzip")
    assert report(answer) == (2_000 - accepted, accepted, [])


@pytest.mark.parametrize(
    ("body", "content_type", "headers", "status", "code"),
    [
        (b"", "application/json", {}, 400, "malformed_json"),
        (b" \n", LINES, {}, 400, "malformed_json"),
        (b"\xef\xbb\xbf", LINES, {}, 400, "malformed_json"),
        (b"null", "application/json", {}, 400, "malformed_json"),
        (b"hello", "application/json", {}, 400, "malformed_json"),
        ('{"a": 1}'.encode("utf-16"), LINES, {}, 400, "malformed_json"),
        ("[]".encode("utf-16-le"), "application/json", {}, 400, "malformed_json"),
        (b"[]", LINES, {"Content_Encoding": "gzip"}, 400, "malformed_json"),
        (b"", LINES, {"Content_Encoding": "gzip"}, 400, "malformed_json"),
        (gzip.compress(b"[]", mtime=0), LINES, {}, 400, "malformed_json"),
        (gzip.compress(b"", mtime=0), LINES, {"Content_Encoding": "gzip"}, 400, "malformed_json"),
        (b"[]", LINES, {"Content_Encoding": "br"}, 415, "unsupported_media_type"),
        (b"[]", LINES, {"Content_Encoding": "gzip, gzip"}, 415, "unsupported_media_type"),
        (b"[]", "text/plain", {}, 415, "unsupported_media_type"),
        (b"[]", "application/x-www-form-urlencoded", {}, 415, "unsupported_media_type"),
        (b"[]", "", {}, 415, "unsupported_media_type"),
        (b"[]", LINES, {"Transfer_Encoding": "chunked"}, 411, "refused"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_whole(
    client: Api, body: bytes, content_type: str, headers: dict[str, str], status: int, code: str
) -> None:
    problem(client.post(PATH, body, content_type, **headers), status, code)


def test_a_bomb_is_a_413_and_stores_nothing(client: Api) -> None:
    bomb = gzip.compress(ndjson([event()]) + b" " * (limits.LARGEST_UNPACKED + 1))
    assert len(bomb) < 100_000
    answer = client.post(PATH, bomb, LINES, Content_Encoding="gzip")
    assert "64 MiB" in problem(answer, 413, "body_too_large")["detail"]
    assert stored() == set()


def test_a_body_may_have_sixteen_mebibytes(client: Api) -> None:
    body = ndjson([event()])
    padded = body + b" " * (limits.LARGEST_REQUEST - len(body))
    accepted, _, rejected = report(client.post(PATH, padded, LINES))
    assert (accepted, rejected) == (1, [(1, "too_large")])  # a line of 16 MiB
    answer = client.post(PATH, padded + b" ", LINES)
    assert "16 MiB" in problem(answer, 413, "body_too_large")["detail"]


def test_the_list_of_rejected_ends_and_their_number_does_not(client: Api) -> None:
    answer = client.post(PATH, b"x\n" * 1_500 + ndjson([event()]), LINES)
    assert (answer.json()["accepted"], answer.json()["rejected_count"]) == (1, 1_500)
    assert [item["index"] for item in answer.json()["rejected"]] == list(range(1_000))


def test_a_request_has_so_many_events(client: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_EVENTS", 3)
    body = [event() for _ in range(5)]
    assert report(client.post(PATH, body)) == (3, 0, [(3, "too_large")])
    assert report(client.post(PATH, body[:3])) == (0, 3, [])


def test_a_restricted_caller_writes_to_its_own_namespaces() -> None:
    one = api(create_user("eva", "Operator", "eu"))
    assert report(one.post(PATH, [event(), event(namespace="us"), event(namespace="eu")])) == (
        (2, 0, [(1, "unknown_namespace")])
    )
    assert set(TelemetryEvent.objects.values_list("namespace", flat=True)) == {"eu"}
    two = api(create_user("tom", "Operator", "eu", "us"))
    assert report(two.post(PATH, [event(), event(namespace="us")])) == (
        (1, 0, [(0, "namespace_required")])
    )


def test_ingest_is_neither_stopped_nor_audited(client: Api) -> None:
    halts.halt("eu", actor=SYSTEM, reason="a flood")
    before = AuditTrailEntry.objects.count()
    assert report(client.post(PATH, event(namespace="eu"))) == (1, 0, [])
    assert AuditTrailEntry.objects.count() == before


def test_an_idempotency_key_changes_nothing(client: Api) -> None:
    first = event()
    assert report(client.post(PATH, first, Idempotency_Key="k")) == (1, 0, [])
    assert report(client.post(PATH, first, Idempotency_Key="k")) == (0, 1, [])
    assert report(client.post(PATH, event(), Idempotency_Key="k")) == (1, 0, [])


def test_a_dropped_day_is_too_old(client: Api) -> None:
    moment = clock.now() - timedelta(days=50)
    TelemetryDay.objects.create(day=moment.date(), dropped_at=clock.now())
    body = [event(), event(occurred_at=moment.isoformat()), event()]
    assert report(client.post(PATH, body)) == (2, 0, [(1, "too_old")])


def test_missing_tables_are_one_clear_503(
    client: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(schema_gate, "TABLES", (*schema_gate.TABLES, "telemetry_missing"))
    answer = client.post(PATH, [event()] * 3)
    refusal = problem(answer, 503, "schema_missing")
    assert "telemetry_missing" in refusal["detail"]
    assert "manage.py migrate" in refusal["detail"]
    decisions = [record for record in caplog.records if "decision" in record.getMessage()]
    assert len(decisions) == 1
    assert stored() == set()


def test_an_event_that_the_database_refuses_does_not_sink_the_others(
    client: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_lines = batch.store_lines

    def refuse(lines: list[bytes], *args: Any, **options: Any) -> list[batch.Outcome]:
        if any(b"poison" in line for line in lines):
            raise DataError("it is poison")
        return store_lines(lines, *args, **options)

    monkeypatch.setattr(batch, "store_lines", refuse)
    body = [event(task_id="poison" if n in (3, 70) else "t") for n in range(100)]
    assert report(client.post(PATH, body)) == (
        (98, 0, [(3, "invalid_field"), (70, "invalid_field")])
    )


def test_the_number_of_statements_follows_the_batches(
    client: Api, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client.post(PATH, [event()])
    with django_assert_max_num_queries(30):
        assert report(client.post(PATH, [event() for _ in range(2_000)])) == (2_000, 0, [])


def test_large_bodies_are_stored_in_several_batches(
    client: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BATCH_EVENTS", 7)
    events = [event() for _ in range(30)]
    assert report(client.post(PATH, [*events, 1, *events[:5]])) == (
        (30, 5, [(30, "not_an_object")])
    )
