"""Each event is checked against the contract's shape; a wrong one has a code and a detail."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from telemetry.ingest import event_json, ids, metadata
from telemetry.ingest.shape import Sender
from telemetry.ingest.times import Window
from telemetry.ingest.verdicts import Code, EventInvalid, quoted

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANY = Sender(Window.at(NOW))
ID = "0190a5f0-7c1e-7b3a-9d5e-3f2a1b4c5d6e"
SHA256 = "ab" * 32


def event(**members: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "name": "command_end",
        "occurred_at": "2026-03-01T00:00:00Z",
        "session_id": "s1",
        **members,
    }


def values(value: Any, sender: Sender = ANY) -> list[str]:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    line, *_ = event_json.read(raw, sender)
    return line.decode().rstrip("\n").split("\t")


def stored_metadata(value: Any) -> Any:
    """Return what COPY reads of the event's metadata."""
    parts = values(value)[11].split("\\\\")
    return json.loads("\\".join(part.replace("\\t", "\t").replace("\\n", "\n") for part in parts))


def verdict(value: Any, sender: Sender = ANY) -> tuple[Code, str]:
    with pytest.raises(EventInvalid) as caught:
        values(value, sender)
    assert caught.value.detail
    return caught.value.code, caught.value.detail


def test_an_event_becomes_a_line_of_copy() -> None:
    full = event(
        task_id="t1",
        namespace="eu",
        profile_id="p1",
        run_id=ID,
        stage="build",
        level="debug",
        duration_ms=1.5,
        metadata={"a": [1, {"b": "c\\t"}]},
    )
    assert values(full) == [
        ID,
        "2026-03-01T00:00:00+00:00",
        "command_end",
        "eu",
        "p1",
        ID,
        "s1",
        "t1",
        "build",
        "debug",
        "1.5",
        '{"a": [1, {"b": "c\\\\\\\\t"}]}',
    ]


def test_null_is_as_good_as_absent() -> None:
    plain = [ID, "2026-03-01T00:00:00+00:00", "command_end", *["\\N"] * 3, "s1"]
    plain += ["\\N", "\\N", "info", "\\N", "{}"]
    optional = ("task_id", "namespace", "profile_id", "run_id", "stage", "level", "duration_ms")
    assert values(event()) == plain
    assert values(event(**dict.fromkeys((*optional, "metadata")))) == plain


def test_an_error_is_of_the_level_error_unless_it_says_otherwise() -> None:
    assert values(event(name="error", metadata={"message": "m"}))[9] == "error"
    assert values(event(name="error", level="info", metadata={"message": "m"}))[9] == "info"


@pytest.mark.parametrize(
    ("ulid", "uuid"),
    [
        ("00000000000000000000000000", "00000000-0000-0000-0000-000000000000"),
        ("7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
        ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "01563e3a-b5d3-d676-4c61-efb99302bd5b"),
        ("01arz3ndektsv4rrffq69g5fav", "01563e3a-b5d3-d676-4c61-efb99302bd5b"),
    ],
)
def test_a_ulid_becomes_the_uuid_of_its_bits(ulid: str, uuid: str) -> None:
    assert values(event(id=ulid))[0] == ids.read(ulid) == uuid


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "1",
        1,
        True,
        [ID],
        ID[:-1],
        ID + "0",
        f"{{{ID}}}",
        "80000000000000000000000000",  # 131 bits
        "01ARZ3NDEKTSV4RRFFQ69G5FAU",  # no U
        "01ARZ3NDEKTSV4RRFFQ69G5FAI",
        "01ARZ3NDEKTSV4RRFFQ69G5FA",
        "٠1ARZ3NDEKTSV4RRFFQ69G5FAV",  # an Arabic digit
        ID + "\n",
    ],
)
def test_other_ids_are_refused(wrong: Any) -> None:
    code, detail = verdict(event(id=wrong))
    assert code == "invalid_id"
    assert "ULID" in detail


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("2026-03-01T00:00:00Z", "2026-03-01T00:00:00+00:00"),
        ("2026-03-01t00:00:00z", "2026-03-01T00:00:00+00:00"),
        ("2026-03-01 00:00Z", "2026-03-01T00:00:00+00:00"),
        ("2026-03-01T00:30:00.123456789+01:00", "2026-02-28T23:30:00.123456+00:00"),
        ("2026-03-01T00:00:00,5-0230", "2026-03-01T02:30:00.500000+00:00"),
        ("2025-01-25T00:00:00Z", "2025-01-25T00:00:00+00:00"),  # 400 days ago
        ("2026-03-03T12:00:00Z", "2026-03-03T12:00:00+00:00"),  # a clock two days ahead
    ],
)
def test_a_time_with_a_zone_is_stored_in_utc(sent: str, stored: str) -> None:
    assert values(event(occurred_at=sent))[1] == stored


def test_the_day_is_that_of_utc() -> None:
    raw = json.dumps(event(occurred_at="2026-03-01T00:30:00+01:00")).encode()
    assert event_json.read(raw, ANY)[1] == date(2026, 2, 28)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("2026-03-01T00:00:00", "invalid_time"),
        ("2026-03-01", "invalid_time"),
        ("2026-W09-1T00:00:00Z", "invalid_time"),
        ("2026-02-30T00:00:00Z", "invalid_time"),
        ("2026-03-01T24:00:00Z", "invalid_time"),
        ("2026-02-28T23:59:60Z", "invalid_time"),
        ("2026-03-01T00:00:00+25:00", "invalid_time"),
        ("2026-03-01T00:00:00 Z", "invalid_time"),
        ("infinity", "invalid_time"),
        ("now", "invalid_time"),
        ("", "invalid_time"),
        (1772323200, "invalid_time"),
        ("0000-01-01T00:00:00Z", "invalid_time"),
        ("0001-01-01T00:00:00+14:00", "too_old"),
        ("2025-01-24T23:59:59Z", "too_old"),
        ("2026-03-03T12:00:01Z", "in_future"),
        ("9999-12-31T23:59:59Z", "in_future"),
        ("9999-12-31T23:59:59-14:00", "in_future"),
        ("10000-01-01T00:00:00Z", "invalid_time"),
    ],
)
def test_other_times_are_refused(sent: Any, code: str) -> None:
    assert verdict(event(occurred_at=sent))[0] == code


@pytest.mark.parametrize("missing", ["id", "name", "occurred_at", "session_id"])
def test_an_event_needs_four_fields(missing: str) -> None:
    without = event()
    del without[missing]
    assert verdict(without)[0] == "missing_field"
    code, detail = verdict(event(**{missing: None}))
    assert (code, f"`{missing}`" in detail) == ("missing_field", True)


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("colour", "red", "unknown_field"),
        ("success", True, "unknown_field"),
        ("recorded_at", "2026-03-01T00:00:00Z", "unknown_field"),
        ("name", "execution_started", "unknown_name"),
        ("name", "delivery_confirmed", "unknown_name"),
        ("name", "TASK_START", "unknown_name"),
        ("name", ["task_start"], "unknown_name"),
        ("session_id", "", "invalid_field"),
        ("session_id", "s" * 201, "invalid_field"),
        ("session_id", 7, "invalid_field"),
        ("task_id", "t" * 201, "invalid_field"),
        ("stage", "s" * 51, "invalid_field"),
        ("profile_id", "p" * 101, "invalid_field"),
        ("namespace", "-eu", "invalid_field"),
        ("namespace", "eu\n", "invalid_field"),
        ("namespace", "", "invalid_field"),
        ("run_id", "r1", "invalid_field"),
        ("level", "fatal", "invalid_field"),
        ("level", ["info"], "invalid_field"),
        ("duration_ms", -1, "invalid_field"),
        ("duration_ms", -0.001, "invalid_field"),
        ("duration_ms", True, "invalid_field"),
        ("duration_ms", "1", "invalid_field"),
        ("duration_ms", 10**400, "invalid_field"),
        ("metadata", [], "invalid_metadata"),
        ("metadata", "", "invalid_metadata"),
        ("metadata", 0, "invalid_metadata"),
    ],
)
def test_a_wrong_field_is_named(field: str, value: Any, code: str) -> None:
    found, detail = verdict(event(**{field: value}))
    assert found == code
    assert field in detail


OF_NAMES = {
    "task_start": {},
    "task_end": {"success": True},
    "command_start": {},
    "command_end": {},
    "decision": {},
    "artifact_emit": {"path_name": "a.xml", "size": 0},
    "event_insert": {},
    "error": {"message": ""},
    "policy_violation": {"file": "f", "policy": "p", "rule": "r", "severity": "low"},
    "metric": {"name": "m", "value": 1.5},
}


@pytest.mark.parametrize("name", OF_NAMES)
def test_each_name_takes_its_metadata_and_the_senders_own(name: str) -> None:
    for more in ({}, {"colour": {"of": ["mine", None]}}):
        members = {**OF_NAMES[name], **more}
        assert stored_metadata(event(name=name, metadata=members)) == members


REQUIRED = [(name, member) for name, members in OF_NAMES.items() for member in members]


@pytest.mark.parametrize(("name", "member"), REQUIRED)
def test_a_required_member_is_never_missing_or_null(name: str, member: str) -> None:
    members = OF_NAMES[name]
    without = {other: value for other, value in members.items() if other != member}
    for wrong in (without, {**without, member: None}):
        code, detail = verdict(event(name=name, metadata=wrong))
        assert (code, f"metadata.{member}" in detail) == ("invalid_metadata", True)


@pytest.mark.parametrize(
    ("name", "member", "good", "bad"),
    [
        ("task_end", "success", [True, False], [1, 0, "true", []]),
        ("task_start", "title", ["", "t" * 1000], [1, "t" * 1001]),
        ("task_start", "priority", [-(2**63) + 1, 0, 2**63 - 1], [2**63, 1.0, True, "1"]),
        ("task_start", "tags", [[], ["a", "b"]], ["a", {"a": 1}, [1], [""], ["t"] * 101]),
        ("task_start", "provider_type", ["Microsoft", "System", 1, 2], [0, 3, True, 1.0, "ms", []]),
        ("task_start", "provider_cache_hit", [True, False, 0, 1], [2, 1.0, "1", []]),
        ("task_start", "artifacts_declared", [0, 2, ["a"]], [-1, True, "a", [1], 1001]),
        ("error", "message", ["", "m" * 60_000], [1, ["m"]]),
        ("artifact_emit", "path_name", ["a", "ü/b c"], ["", 1, "a" * 4097]),
        ("artifact_emit", "size", [0, 2**63 - 1], [-1, 1.5, True, 2**63, "1"]),
        ("artifact_emit", "sha256", [SHA256], ["", "ab" * 31, "zz" * 32, 7]),
        ("artifact_emit", "media_type", ["text/xml"], ["", 1]),
        ("metric", "name", ["m"], ["", 1, "m" * 201]),
        ("metric", "value", [0, -1.5, 1e300], [True, "1", 10**400, []]),
        ("metric", "labels", [{}, {"a": "b", "c": 1}], [[], "a", {"a": {}}, {"a": []}]),
        ("policy_violation", "file", ["f"], ["", 1]),
        ("policy_violation", "severity", ["high"], ["", 1, "s" * 51]),
        ("policy_violation", "host", ["", "h"], [1, "h" * 256]),
    ],
)
def test_members_have_their_types(name: str, member: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        members = {**OF_NAMES[name], member: value}
        assert stored_metadata(event(name=name, metadata=members))[member] == value
    for value in bad:
        code, detail = verdict(event(name=name, metadata={**OF_NAMES[name], member: value}))
        assert (code, f"metadata.{member}" in detail) == ("invalid_metadata", True), value


def test_optional_members_that_are_null_are_left_out() -> None:
    for name, checks in metadata.OPTIONAL.items():
        members = {**OF_NAMES[name], **dict.fromkeys(checks)}
        assert stored_metadata(event(name=name, metadata=members)) == OF_NAMES[name]


def test_a_hash_becomes_lower_case() -> None:
    members = {**OF_NAMES["artifact_emit"], "sha256": SHA256.upper()}
    stored = json.loads(values(event(name="artifact_emit", metadata=members))[11])
    assert stored == {**members, "sha256": SHA256}


def with_metadata(text: str, **members: Any) -> bytes:
    return (
        json.dumps(event(metadata=0, **members)).encode().replace(b": 0}", f": {text}}}".encode())
    )


def nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "invalid_json"),
        (b"hello", "invalid_json"),
        (b'{"id": "1', "invalid_json"),
        (b"\xff", "invalid_json"),
        (b"1", "not_an_object"),
        (b"null", "not_an_object"),
        (b"[]", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"{}", "missing_field"),
        (with_metadata('{"a":1,"a":2}'), "duplicate_key"),
        (with_metadata('{"a":{"b":1,"b":1}}'), "duplicate_key"),
        (with_metadata("{}")[:-1] + b',"name":"error"}', "duplicate_key"),
        (with_metadata("{}")[:-1] + b',"metadata":{}}', "duplicate_key"),
        (with_metadata('{"a":NaN}'), "invalid_json"),
        (with_metadata('{"a":-Infinity}'), "invalid_json"),
        (with_metadata('{"a":1e400}'), "invalid_json"),
        (with_metadata('{"a":' + "1" * 5000 + "}"), "invalid_json"),
        (with_metadata('{"a":"\\u0000"}'), "invalid_json"),
        (with_metadata('{"a\\u0000":1}'), "invalid_json"),
        (with_metadata('{"a":"\\ud800"}'), "invalid_json"),
        (with_metadata('{"a":"\x00"}'), "invalid_json"),
        (with_metadata("{'a':1}"), "invalid_json"),
        (with_metadata('{"a":1,}'), "invalid_json"),
        (with_metadata("{}") + b"x", "invalid_json"),
        (with_metadata("{}") + b" {}", "invalid_json"),
        (json.dumps(event()).replace("s1", "s\\u0000").encode(), "invalid_json"),
        (with_metadata(nested(65)), "invalid_metadata"),
        (with_metadata(nested(2_000)), "invalid_metadata"),
        (with_metadata('{"a":"' + "x" * 65_536 + '"}'), "too_large"),
    ],
)
def test_json_is_read_strictly(raw: bytes, code: str) -> None:
    assert verdict(raw)[0] == code


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{ }",
        nested(64),
        '{"metadata": {"metadata": "\\"metadata\\": {"}}',
        '{"a": "\\u00fc \\ud83d\\ude00 \\\\ \\t \\n \\/"}',
        '{"a": [0.1, -0, 1e5, 1.5E-7, 123456789012345678901234567890, 12345.678901234567890123]}',
        '{"a": "\u2028 \x7f ü"}',
        '{"": {"": []}}',
    ],
)
def test_metadata_is_kept_as_it_is(text: str) -> None:
    for raw in (
        with_metadata(text),
        b'{"metadata":' + text.encode() + b"," + json.dumps(event()).encode()[1:],
        b'{"m\\u0065tadata":' + text.encode() + b"," + json.dumps(event()).encode()[1:],
    ):
        assert stored_metadata(raw) == json.loads(text)


@pytest.mark.parametrize("more", ["", "\\u00fc"])
def test_numbers_keep_their_text(more: str) -> None:
    text = '{"a":[0.12345678901234567890,-0,1e-400,2.50],"b":"' + more + '"}'
    assert values(with_metadata(text))[11].replace("\\\\", "\\") == text


def test_a_value_named_metadata_is_no_key() -> None:
    assert values(event(task_id="metadata"))[11] == "{}"
    assert values(event(task_id='"metadata": {'))[11] == "{}"
    assert json.loads(values(event(task_id="metadata", metadata={"a": 1}))[11]) == {"a": 1}
    assert verdict(b'{"x":{"metadata":{}},"metadata":0,' + json.dumps(event()).encode()[1:])[0] == (
        "unknown_field"
    )


def test_a_restricted_sender_writes_to_its_own_namespaces() -> None:
    one, two = Sender(ANY.window, frozenset({"eu"})), Sender(ANY.window, frozenset({"eu", "us"}))
    assert values(event(), one)[3] == "eu"
    assert values(event(namespace="us"), two)[3] == "us"
    assert verdict(event(), two)[0] == "namespace_required"
    assert verdict(event(), Sender(ANY.window, frozenset()))[0] == "namespace_required"
    assert verdict(event(namespace="us"), one)[0] == "unknown_namespace"
    assert values(event(namespace="whatever"))[3] == "whatever"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        ([False, {"a": None}], '[false, {"a": null}]'),
        ('a\n"b"', "'a\\n\"b\"'"),
        ("x" * 61, f"'{'x' * 60}...'"),
        ([1] * 50, f"{'[1, ' + '1, ' * 18}1,..."),
    ],
)
def test_details_quote_json(value: object, text: str) -> None:
    assert quoted(value) == text


def test_a_number_of_many_digits_is_a_number() -> None:
    digits = "0.1234567890123456789012345678901234567890123"
    raw = json.dumps(event(name="metric", metadata={"name": "m", "value": 0})).encode()
    raw = raw.replace(b'"value": 0', f'"value": {digits}'.encode())
    raw = raw[:-1] + f', "duration_ms": {digits}}}'.encode()
    assert digits in values(raw)[11]
