"""TLS: nothing is sent before the certificate is verified, by the endpoint's settings alone."""

import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from orbit.outbound import client
from tests.support.certificates import DAY, Authority
from tests.support.receiver import OK, Receiver, silent


def post(
    url: str, *, ca_bundle: str | None = None, allowed: tuple[str, ...] = ("localhost", "127.0.0.1")
) -> client.Response:
    request = client.Request(
        "POST", url, {"Authorization": "Bearer hush"}, b"hush", 1, 1, 2, ca_bundle
    )
    return client.send(request, allowed=allowed)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


def test_the_name_is_verified_while_the_connection_goes_to_the_checked_address(
    authority: Authority,
) -> None:
    context = authority.server("localhost")
    names: list[str | None] = []
    context.sni_callback = lambda sock, name, ctx: names.append(name)  # type: ignore[assignment]
    with Receiver(tls=context) as receiver:
        url = f"https://localhost:{receiver.port}/hook"
        assert post(url, ca_bundle=authority.bundle).body == b"ok"
        assert names == ["localhost"]
        assert receiver.requests[0].headers["host"] == f"localhost:{receiver.port}"


def test_a_dot_behind_the_name_belongs_to_the_resolver_and_not_to_the_certificate(
    authority: Authority,
) -> None:
    with Receiver(tls=authority.server("localhost")) as receiver:
        assert (
            post(f"https://localhost.:{receiver.port}/", ca_bundle=authority.bundle).status == 200
        )


def test_an_address_may_have_a_certificate_too(authority: Authority) -> None:
    with Receiver(tls=authority.server("127.0.0.1")) as receiver:
        assert post(receiver.url, ca_bundle=authority.bundle).status == 200


@pytest.mark.parametrize(
    ("name", "begins", "ends", "why"),
    [
        ("elsewhere.example", -DAY, DAY, "localhost"),
        ("localhost", -2 * DAY, -timedelta(hours=1), "expired"),
        ("localhost", timedelta(hours=1), DAY, "not yet valid"),
    ],
)
def test_a_wrong_name_and_a_wrong_time_are_refused_with_the_reason(
    authority: Authority, name: str, begins: timedelta, ends: timedelta, why: str
) -> None:
    with Receiver(tls=authority.server(name, begins=begins, ends=ends)) as receiver:
        answer = post(f"https://localhost:{receiver.port}/", ca_bundle=authority.bundle)
        assert receiver.requests == []
    assert (answer.error_class, answer.was_sent) == ("tls", False)
    assert why in answer.error


def test_an_unknown_authority_is_refused_and_the_public_ones_are_no_way_round_a_bundle(
    authority: Authority, tmp_path: Path
) -> None:
    with Receiver(tls=authority.server("localhost")) as receiver:
        url = f"https://localhost:{receiver.port}/"
        answers = [post(url), post(url, ca_bundle=Authority(tmp_path, "Another").bundle)]
        assert receiver.requests == []
    assert {(answer.error_class, answer.was_sent) for answer in answers} == {("tls", False)}
    assert all("certificate" in answer.error for answer in answers)


def old(context: ssl.SSLContext) -> ssl.SSLContext:
    """Have ``context`` speak TLS 1.1 and nothing newer."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def test_versions_before_1_2_are_not_spoken(authority: Authority) -> None:
    lenient = old(ssl.create_default_context(cafile=authority.bundle))
    with Receiver(tls=old(authority.server("localhost"))) as receiver:
        with (
            socket.create_connection(("127.0.0.1", receiver.port)) as plain,
            lenient.wrap_socket(plain, server_hostname="localhost") as spoken,
        ):
            assert spoken.version() == "TLSv1.1"
        answer = post(f"https://localhost:{receiver.port}/", ca_bundle=authority.bundle)
        assert receiver.requests == []
    assert (answer.error_class, answer.was_sent) == ("tls", False)


def test_plain_http_where_tls_is_spoken_to_sends_nothing() -> None:
    with Receiver(greeting=OK) as receiver:
        answer = post(f"https://127.0.0.1:{receiver.port}/")
    assert (answer.error_class, answer.was_sent) == ("tls", False)


def test_a_handshake_that_stalls_or_drips_ends_with_the_connect_time_out(
    authority: Authority,
) -> None:
    dripped = threading.Event()

    def drip(sock: socket.socket) -> None:
        for byte in b"\x16\x03\x03\x40\x00" + b"\x02" * 600:  # a minute
            sock.sendall(bytes([byte]))
            time.sleep(0.1)
        dripped.set()

    for greeting in (silent, drip):
        with Receiver(greeting=greeting) as receiver:
            answer = post(f"https://127.0.0.1:{receiver.port}/")
            assert not dripped.is_set()
        assert (answer.status, answer.was_sent) == (None, False)


def test_a_connection_that_ends_in_the_handshake_sent_nothing(authority: Authority) -> None:
    with Receiver(greeting=lambda sock: sock.shutdown(socket.SHUT_RDWR)) as receiver:
        answer = post(f"https://127.0.0.1:{receiver.port}/")
    assert (answer.status, answer.was_sent) == (None, False)


def test_a_warm_connection_of_one_bundle_is_not_used_for_another(
    authority: Authority, tmp_path: Path
) -> None:
    with Receiver(tls=authority.server("localhost")) as receiver:
        url = f"https://localhost:{receiver.port}/"
        assert post(url, ca_bundle=authority.bundle).status == 200
        assert post(url).error_class == "tls"
        assert len(receiver.requests) == 1


def test_a_bundle_that_is_not_there_is_an_answer_too() -> None:
    answer = post("https://127.0.0.1:1/", ca_bundle="/nowhere.pem")
    assert (answer.status, answer.was_sent) == (None, False)


def test_neither_authorities_nor_key_logs_are_taken_from_the_environment(
    authority: Authority, tmp_path: Path
) -> None:
    program = (
        "import sys; from django.conf import settings\n"
        "settings.configure(ORBIT_VERSION='1')\n"
        "from orbit.outbound import client\n"
        "request = client.Request('POST', sys.argv[1], {}, b'x', 1, 1, 2, sys.argv[2] or None)\n"
        "print(client.send(request, allowed=['localhost']).status)"
    )
    keys = tmp_path / "keys.log"
    environment = {
        **os.environ,
        "SSL_CERT_FILE": authority.bundle,
        "REQUESTS_CA_BUNDLE": authority.bundle,
        "CURL_CA_BUNDLE": authority.bundle,
        "SSLKEYLOGFILE": str(keys),
    }
    with Receiver(tls=authority.server("localhost")) as receiver:
        url = f"https://localhost:{receiver.port}/"
        for bundle, status in ((authority.bundle, "200"), ("", "None")):
            process = subprocess.run(
                [sys.executable, "-c", program, url, bundle],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert process.stdout.strip() == status, process.stderr
    assert not keys.exists()
