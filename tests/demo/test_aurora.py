import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo import aurora
from tests.support.polling import until
from tests.support.ports import free_port

pytestmark = pytest.mark.processes


class Receiver:
    def __init__(self, var: Path) -> None:
        self.var, self.port = var, free_port()
        (var / "aurora-token").write_text("secret")
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", aurora.__file__, str(self.var), str(self.port)]
        )
        until(self._answers, "the receiver doesn't answer")

    def _answers(self) -> bool:
        try:
            self.ask("GET", "/deliveries")
        except ConnectionRefusedError:
            return False
        return True

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(
                method,
                path,
                body,
                {name.replace("_", "-"): value for name, value in headers.items()},
            )
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def deliver(self, body: bytes, **headers: str) -> tuple[int, Any]:
        status, _, answer = self.ask(
            "POST",
            "/deliveries",
            body,
            **{"Authorization": "Bearer secret", "Idempotency_Key": "k1", **headers},
        )
        return status, json.loads(answer)

    def behave(self, behaviour: Any, **headers: str) -> tuple[int, Any]:
        status, _, answer = self.ask(
            "PUT",
            "/behaviour",
            json.dumps(behaviour).encode(),
            **{"Authorization": "Bearer secret", **headers},
        )
        return status, json.loads(answer)

    def kept(self) -> Any:
        return json.loads(self.ask("GET", "/deliveries")[2])["results"]


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path)
    yield made
    made.stop()


def test_a_delivery_is_kept_with_its_hash_and_a_repeat_is_counted_not_kept_again(
    receiver: Receiver,
) -> None:
    assert receiver.deliver(b"one", X_Orbit_Namespace="eu") == (
        200,
        {"received": True, "repeat": False},
    )
    assert receiver.deliver(b"one") == (200, {"received": True, "repeat": True})
    assert receiver.deliver(b"two", Idempotency_Key="k2")[1]["repeat"] is False
    newest, oldest = receiver.kept()
    assert (newest["key"], newest["repeats"], oldest["key"], oldest["repeats"]) == (
        "k2",
        0,
        "k1",
        1,
    )
    assert oldest["sha256"] == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    assert oldest["headers"]["X-Orbit-Namespace"] == "eu"


def test_keys_are_known_after_a_restart_and_after_a_kill(receiver: Receiver) -> None:
    receiver.deliver(b"one")
    receiver.stop()
    receiver.start()
    assert receiver.deliver(b"one")[1]["repeat"] is True


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": ""}, 401),
        ({"Idempotency_Key": ""}, 400),
    ],
)
def test_without_token_or_key_nothing_is_kept(
    receiver: Receiver, headers: dict[str, str], status: int
) -> None:
    assert receiver.deliver(b"one", **headers)[0] == status
    assert receiver.kept() == []


def test_the_page_escapes_deliveries_and_allows_no_script(receiver: Receiver) -> None:
    receiver.deliver(b"<script>alert(1)</script>", X_Orbit_Namespace="<b>eu")
    status, headers, page = receiver.ask("GET", "/")
    assert status == 200
    assert b"&lt;script&gt;alert(1)" in page
    assert b"&lt;b&gt;eu" in page
    assert b"<script" not in page
    assert (headers["Content-Security-Policy"] or "").startswith(
        "default-src 'none'; style-src 'self';"
    )


def test_it_refuses_as_many_as_asked_and_keeps_none_of_them(receiver: Receiver) -> None:
    assert receiver.behave({"status": 503, "times": 2}) == (200, {"status": 503, "times": 2})
    assert b"&quot;status&quot;: 503" in receiver.ask("GET", "/")[2]
    assert [receiver.deliver(b"one")[0] for _ in range(3)] == [503, 503, 200]
    assert [delivery["repeats"] for delivery in receiver.kept()] == [0]


def test_a_slow_receiver_keeps_the_delivery_at_once_and_answers_after_the_delay_or_a_change(
    receiver: Receiver,
) -> None:
    receiver.behave({"delay": 0.3})
    began = time.monotonic()
    assert receiver.deliver(b"one")[0] == 200
    assert time.monotonic() - began >= 0.3
    receiver.behave({"delay": 60})
    answers = list[int]()
    waiting = threading.Thread(
        target=lambda: answers.append(receiver.deliver(b"two", Idempotency_Key="k2")[0])
    )
    waiting.start()
    until(lambda: len(receiver.kept()) == 2)
    assert answers == []
    receiver.behave({})
    waiting.join(60)
    assert answers == [200]


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ({"delay": 61}, "delay is a number from 0 to 60"),
        ({"delay": "1"}, "delay is a number"),
        ({"status": 200}, "status is a whole number from 400 to 599"),
        ({"status": 503, "times": True}, "times is a whole number"),
        ({"delya": 1}, "delya: only delay, status and times are known"),
        ([], "a JSON object"),
    ],
)
def test_an_invalid_behaviour_is_named_and_changes_nothing(
    receiver: Receiver, behaviour: Any, error: str
) -> None:
    receiver.behave({"status": 418})
    status, answer = receiver.behave(behaviour)
    assert (status, error in answer["error"]) == (422, True)
    assert receiver.deliver(b"one")[0] == 418


def test_changing_the_behaviour_needs_the_token(receiver: Receiver) -> None:
    assert receiver.behave({"status": 503}, Authorization="Bearer wrong")[0] == 401
    assert receiver.deliver(b"one")[0] == 200


def test_a_foreign_host_name_that_resolves_to_this_machine_reads_nothing(
    receiver: Receiver,
) -> None:
    assert receiver.ask("GET", "/deliveries", Host="evil.example")[0] == 421


def test_only_the_last_two_hundred_are_kept(tmp_path: Path) -> None:
    deliveries = aurora.Deliveries(tmp_path / "kept.jsonl")
    for number in range(aurora.KEPT_DELIVERIES * 7):
        deliveries.add(f"k{number}", {}, b"")
    assert len(deliveries.newest_first()) == aurora.KEPT_DELIVERIES
    assert len((tmp_path / "kept.jsonl").read_text().splitlines()) <= 5 * aurora.KEPT_DELIVERIES + 1
    assert [kept["key"] for kept in aurora.Deliveries(tmp_path / "kept.jsonl").newest_first()] == [
        kept["key"] for kept in deliveries.newest_first()
    ]
