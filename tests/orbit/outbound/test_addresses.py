import ipaddress
import socket
import threading
from typing import Any

import pytest

from orbit.outbound import addresses
from orbit.outbound.addresses import Refused, Unresolved, check_url, resolve


def resolved(url_host: str, *allowed: str, plain: bool = False) -> list[str]:
    return [str(address) for address in resolve(url_host, 443, allowed, plain=plain)]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "100.100.100.200",
        "0.0.0.0",
        "0.1.2.3",
        "224.0.0.1",
        "239.255.255.250",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "192.88.99.1",
        "192.0.0.1",
        "::",
        "::1",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::127.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::",
        "2002:808:808::",
        "2001:0:7f00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "fe80::1",
        "fec0::1",
        "fd00::1",
        "fd00:ec2::254",
        "fc00::1",
        "ff02::1",
        "2001:db8::1",
        "100::1",
        "5f00::1",
        "3fff::1",
        "4000::1",
    ],
)
def test_no_address_but_a_public_one_is_permitted_unasked(address: str) -> None:
    bracketed = f"[{address}]" if ":" in address else address
    with pytest.raises(Refused) as exc_info:
        check_url(f"https://{bracketed}/hook?token=secret", [])
    assert address in exc_info.value.detail
    assert addresses.SETTING in exc_info.value.detail
    assert "secret" not in exc_info.value.detail
    with pytest.raises(Refused):
        resolve(address, 443, [])


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
)
def test_a_public_address_is_permitted_over_https_only(address: str) -> None:
    assert resolved(address) == [str(ipaddress.ip_address(address.removeprefix("::ffff:")))]
    with pytest.raises(Refused, match="https only"):
        resolve(address, 80, [], plain=True)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.0/8"),
        ("::1", "::1"),
        ("::1", "[::1]"),
        ("10.2.3.4", "10.0.0.0/8"),
        ("169.254.169.254", "169.254.0.0/16"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("fd00::5", "fd00::/8"),
        ("2002:7f00:1::", "2002:7f00:1::"),
    ],
)
def test_a_listed_address_or_network_is_permitted_over_http_too(host: str, allowed: str) -> None:
    bracketed = f"[{host}]" if ":" in host else host
    assert check_url(f"http://{bracketed}:9000/", [allowed]).port == 9000
    assert resolved(host, allowed, plain=True) == [host.removeprefix("::ffff:")]


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1", "10.0.0.0/8"),
        ("64:ff9b::7f00:1", "127.0.0.0/8"),
        ("::127.0.0.1", "127.0.0.0/8"),
        ("::1", "127.0.0.1"),
    ],
)
def test_a_list_opens_no_more_than_it_says(host: str, allowed: str) -> None:
    with pytest.raises(Refused):
        resolve(host, 443, [allowed])


def test_a_listed_name_may_be_private_and_plain_and_any_case() -> None:
    check_url("http://LocalHost.:8000/", ["localhost"])
    assert "127.0.0.1" in resolved("LOCALHOST", "LocalHost", plain=True)


def test_a_name_is_checked_by_its_addresses_and_the_refusal_says_how_to_allow_it() -> None:
    check_url("https://localhost/", [])
    with pytest.raises(Refused) as exc_info:
        resolve("localhost", 443, [])
    assert "localhost" in exc_info.value.detail
    assert "add localhost or" in exc_info.value.detail
    assert exc_info.value.code == "address_refused"


@pytest.mark.parametrize(
    "metadata", ["169.254.169.254", "fd00:ec2::254", "168.63.129.16", "0.0.0.0", "224.0.0.1"]
)
def test_a_listed_name_never_opens_the_special_addresses(
    monkeypatch: pytest.MonkeyPatch, metadata: str
) -> None:
    answers(monkeypatch, metadata)
    with pytest.raises(Refused, match="add " + metadata):
        resolve("metadata.internal", 80, ["metadata.internal"], plain=True)
    assert resolved("metadata.internal", "metadata.internal", metadata) == [metadata]


def test_of_public_and_private_answers_only_the_public_ones_are_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers(monkeypatch, "10.0.0.1", "8.8.8.8", "::1", "1.1.1.1")
    assert resolved("mixed.example") == ["8.8.8.8", "1.1.1.1"]


def test_http_to_a_name_that_only_a_network_may_allow_is_decided_when_it_resolves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_url("http://aurora:8000/", ["10.0.0.0/8"])
    answers(monkeypatch, "10.1.1.1")
    assert resolved("aurora", "10.0.0.0/8", plain=True) == ["10.1.1.1"]
    answers(monkeypatch, "8.8.8.8")
    with pytest.raises(Refused, match="https only"):
        resolve("aurora", 8000, ["10.0.0.0/8"], plain=True)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "example.com",
        "//example.com/",
        "https://",
        "https:///x",
        "https://user@example.com/",
        "https://user:pw@example.com/",
        "https://@example.com/",
        "https://example.com/#x",
        "https://example.com:0/",
        "https://example.com:/",
        "https://example.com:99999/",
        "https://example.com:x/",
        "https://exa mple.com/",
        "https://example.com/\n",
        "https://example.com/a b",
        "https://[::1",
        "https://b\u00fccher.example/",
        "https://example.com\\@127.0.0.1/",
        "https://exa_mple..com/",
        "https://-a.com/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0/",
        "https://0177.0.0.1/",
        "https://1.2.3.4.5/",
        "https://[fe80::1%25eth0]/",
        "https://" + "a" * 64 + ".com/",
        "http://example.com/",
        "https://example.com/" + "a" * 5000,
    ],
)
def test_an_improper_url_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        check_url(url, [])


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com./a%2Fb?c=d",
        "https://EXAMPLE.com:8443/",
        "https://xn--bcher-kva.example/",
        "https://a_b.example/",
    ],
)
def test_a_proper_url_passes(url: str) -> None:
    assert check_url(url, []).scheme == "https"


@pytest.mark.parametrize(
    "entry",
    [
        "http://localhost",
        "localhost:8000",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "*",
        "*.example.com",
        "a b",
        "127.1",
    ],
)
def test_an_entry_of_the_list_that_would_allow_nothing_is_refused(entry: str) -> None:
    with pytest.raises(Refused, match=addresses.SETTING):
        check_url("https://example.com/", [entry])


def test_a_name_without_an_address_is_unresolved() -> None:
    with pytest.raises(Unresolved, match=r"nothing\.invalid"):
        resolve("nothing.invalid", 443, [])


def test_a_resolver_that_hangs_is_waited_for_no_longer_than_the_time_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hanging, answered = threading.Event(), threading.Event()

    def hang(*arguments: Any, **options: Any) -> Any:
        hanging.wait(60)
        answered.set()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with pytest.raises(Unresolved, match="within"):
        resolve("slow.example", 443, [], timeout=0.1)
    assert not answered.is_set()
    hanging.set()


def answers(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Have the resolver answer what no resolver here would."""
    rows = [
        (
            socket.AF_INET6 if ":" in address else socket.AF_INET,
            socket.SOCK_STREAM,
            6,
            "",
            (address, 443),
        )
        for address in addresses
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: rows)
