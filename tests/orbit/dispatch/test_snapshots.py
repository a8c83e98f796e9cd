"""A job keeps its endpoint as it was: through new tokens, urls and keys, and its removal."""

import base64
import hashlib
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from cryptography.fernet import Fernet

from orbit.cycles import lease
from orbit.dispatch import endpoints, enqueue
from orbit.dispatch.state import FingerprintCache
from orbit.models import DeadLetterDispatch, EndpointSnapshot
from orbit.outbound import secrets
from tests.support import dispatch
from tests.support.pipeline import configure_profiles, rows, run_cycle, start_cycle
from tests.support.receiver import OK, Receiver, http

pytestmark = pytest.mark.usefixtures("committed")
FIRST, SECOND, THIRD = (Fernet.generate_key().decode() for _ in range(3))


def endpoint(settings: Any, url: str, key: str = "default-endpoint", **members: Any) -> None:
    settings.ORBIT_DISPATCH_ENDPOINTS = json.dumps(
        [{"key": key, "url": url, "token": "first-token", **members}]
    )
    settings.ORBIT_DISPATCH_ALLOWED_HOSTS = ["127.0.0.1"]
    settings.ORBIT_DISPATCH_BACKOFF_BASE = settings.ORBIT_DISPATCH_BACKOFF_CAP = 0.05


def sealed_with(settings: Any, *keys: str) -> None:
    """Use these keys from now on, as a process that starts does: it knows no snapshot yet."""
    settings.ORBIT_ENCRYPTION_KEYS = list(keys)
    dispatch.forget_caches()


def enqueued(body: bytes | None = None) -> UUID:
    """Return a cycle whose jobs are made and not sent."""
    cycle_id = start_cycle(body=body)
    (cycle,) = lease.claim(1)
    dispatch.enqueue_deliveries(cycle)
    lease.give_back([cycle], wait=0)
    return cycle_id


def test_jobs_in_flight_keep_url_token_secret_and_headers_and_new_ones_have_the_new(
    settings: Any,
) -> None:
    with Receiver() as old, Receiver() as new:
        endpoint(
            settings,
            old.url,
            headers={"X-Team": "one"},
            signing_secret="whsec_" + base64.b64encode(bytes(range(32))).decode(),
        )
        configure_profiles()
        before = enqueued()
        endpoint(settings, new.url, token="second-token", method="PUT")
        assert run_cycle(before).status == "success"
        assert run_cycle(start_cycle()).status == "success"
        assert {
            (
                request.headers["authorization"],
                request.headers.get("x-team"),
                "webhook-signature" in request.headers,
            )
            for request in old.requests
        } == {("Bearer first-token", "one", True)}
        assert {
            (
                request.line.split()[0],
                request.headers["authorization"],
                request.headers.get("x-team"),
            )
            for request in new.requests
        } == {("PUT", "Bearer second-token", None)}
        assert (len(old.requests), len(new.requests)) == (3, 3)


def test_a_removed_endpoint_still_gets_the_deliveries_made_for_it(
    settings: Any,
) -> None:
    with Receiver() as receiver:
        endpoint(settings, receiver.url)
        configure_profiles()
        before = enqueued()
        endpoint(settings, receiver.url, key="renamed")
        assert run_cycle(before).status == "success"
        assert len(receiver.requests) == 3


def test_after_a_rotation_old_jobs_go_on_and_new_snapshots_are_sealed_with_the_first_key(
    settings: Any,
) -> None:
    sealed_with(settings, FIRST)
    with Receiver() as receiver:
        endpoint(settings, receiver.url)
        configure_profiles()
        before = enqueued()
        sealed_with(settings, SECOND, FIRST)
        assert run_cycle(before).status == "success"
        assert run_cycle(start_cycle()).status == "success"
        assert len(receiver.requests) == 6
    opened = [
        sum(_opens(bytes(row.sealed), key) for row in EndpointSnapshot.objects.all())
        for key in (FIRST, SECOND)
    ]
    assert opened == [1, 1]


def _opens(sealed: bytes, key: str) -> bool:
    try:
        return bool(secrets.unseal(sealed, [key]))
    except secrets.Unreadable:
        return False


def test_a_key_removed_too_early_fails_only_the_jobs_sealed_with_it(settings: Any) -> None:
    sealed_with(settings, FIRST)
    with Receiver() as receiver:
        endpoint(settings, receiver.url)
        configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
        lost = enqueued()
        sealed_with(settings, THIRD)
        assert run_cycle(lost).status == "partial_success"
        assert receiver.requests == []
        assert run_cycle(start_cycle("r2")).status == "success"
        assert len(receiver.requests) == 3
    letters = DeadLetterDispatch.objects.filter(cycle_id=lost)
    assert {(letter.reason, letter.attempts) for letter in letters} == {("unreadable_snapshot", 1)}
    assert all("ORBIT_ENCRYPTION_KEYS" in letter.last_error for letter in letters)
    assert rows(
        "SELECT DISTINCT status, worker IS NOT NULL FROM orbit_deliveryreceipt WHERE job_id IN "
        "(SELECT id FROM orbit_dispatchjob WHERE cycle_id = %s)",
        lost,
    ) == [("unsent", True)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n",
        b"\x00",
        b"\xff\xfe\x00bin\x00",
        b"\xef\xbb\xbf{}",
        b'{"a":1,"a":2,"z":1e400,"b":0.10}\r\n',
        bytes(range(256)) * 4000,
    ],
    ids=["empty", "newline", "NUL", "no text", "BOM", "odd JSON", "a megabyte"],
)
def test_the_bytes_at_the_receiver_are_the_bytes_that_came_in_on_every_attempt(
    settings: Any, body: bytes
) -> None:
    with Receiver(http("500 No"), OK) as receiver:
        endpoint(settings, receiver.url)
        configure_profiles()
        assert run_cycle(start_cycle(body=body)).status == "success"
        assert [request.body == body for request in receiver.requests] == [True] * 4
    digest = hashlib.sha256(body).hexdigest()
    assert rows("SELECT DISTINCT body_sha256 FROM orbit_deliveryreceipt") == [(digest,)]
    assert rows("SELECT DISTINCT sha256 FROM orbit_normalizationitem") == [(digest,)]


def test_credentials_that_a_receiver_echoes_are_in_no_table(settings: Any) -> None:
    def echo(sock: Any) -> None:
        sock.sendall(
            http(
                "401 No",
                b'{"authorization": "Bearer hush-hush-hush", "path": '
                b'"/hook?sig=aGVsbG8gdGhlcmU=", "x-key": "header-hush"}',
            )
        )

    with Receiver(echo) as receiver:
        endpoint(
            settings,
            receiver.url + "?sig=aGVsbG8gdGhlcmU=",
            token="hush-hush-hush",
            headers={"X-Key": "header-hush"},
        )
        configure_profiles()
        assert run_cycle(start_cycle()).status == "partial_success"
    excerpts = {text for (text,) in rows("SELECT response_excerpt FROM orbit_deliveryreceipt")}
    assert excerpts == {
        '{"authorization": "Bearer [masked]", "path": "[masked]", "x-key": "[masked]"}'
    }


def test_one_slot_looks_for_a_snapshot_that_all_need(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint(settings, "http://127.0.0.1:9/")
    (configured,) = endpoints.configured().values()
    looks: list[Any] = []
    all_are_there = threading.Barrier(4)

    def look(looked_for: Any) -> None:
        looks.append(looked_for)
        time.sleep(0.1)  # the others come meanwhile

    def get(cache: FingerprintCache) -> str:
        all_are_there.wait(30)
        return cache.get(configured)

    monkeypatch.setattr(enqueue, "snapshot_id", look)
    with ThreadPoolExecutor(4) as slots:
        fingerprints = set(slots.map(get, [FingerprintCache()] * 4))
    assert (fingerprints, looks) == ({enqueue.fingerprint_of(configured)}, [configured])


def test_a_slot_that_waits_long_for_anothers_look_looks_itself(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint(settings, "http://127.0.0.1:9/")
    (configured,) = endpoints.configured().values()
    monkeypatch.setattr("orbit.dispatch.state.TURN_SECONDS", 0.01)
    cache, looks, may_end = FingerprintCache(), threading.Event(), threading.Event()

    def look(_: Any) -> None:
        if not looks.is_set():
            looks.set()
            may_end.wait(30)

    monkeypatch.setattr(enqueue, "snapshot_id", look)
    with ThreadPoolExecutor(1) as other:
        first = other.submit(cache.get, configured)
        assert looks.wait(30)
        assert cache.get(configured) == enqueue.fingerprint_of(configured)
        may_end.set()
        assert first.result(30) == cache.get(configured)
