"""What Django sees of a request."""

from typing import Any

import pytest

from orbit_site.web import environ


def build(*headers: tuple[bytes, bytes], client: str = "192.0.2.7", **more: Any) -> dict[str, Any]:
    scope = {
        "method": "GET",
        "raw_path": b"/a%20b/%C3%BC%FF",
        "query_string": b"q=1",
        "http_version": "1.1",
        "server": ("127.0.0.1", "3000"),
        "client": (client, "4711"),
        "headers": list(headers),
        **more,
    }
    return environ.build(scope, b"body", length=4)


def test_path_query_addresses_and_body() -> None:
    environment = build((b"host", b"orbit.example.com"), (b"content-type", b"text/plain"))
    assert environment["PATH_INFO"] == "/a b/\xc3\xbc\xff"
    assert environment["QUERY_STRING"] == "q=1"
    assert (environment["SERVER_NAME"], environment["SERVER_PORT"]) == ("127.0.0.1", "3000")
    assert environment["REMOTE_ADDR"] == "192.0.2.7"
    assert environment["HTTP_HOST"] == "orbit.example.com"
    assert (environment["CONTENT_TYPE"], environment["CONTENT_LENGTH"]) == ("text/plain", "4")
    assert environment["wsgi.input"].read() == b"body"


def test_repeated_headers_are_joined_and_cookies_by_their_own_separator() -> None:
    environment = build((b"x-a", b"1"), (b"x-a", b"2"), (b"cookie", b"a=1"), (b"cookie", b"b=2"))
    assert environment["HTTP_X_A"] == "1,2"
    assert environment["HTTP_COOKIE"] == "a=1; b=2"


def test_a_header_with_an_underscore_passes_for_no_other() -> None:
    environment = build((b"x_forwarded_for", b"203.0.113.1"), (b"x-forwarded_for", b"203.0.113.1"))
    assert "HTTP_X_FORWARDED_FOR" not in environment


@pytest.mark.parametrize(
    ("client", "forwarded", "scheme"),
    [
        ("10.0.0.9", b"https", "https"),
        ("10.0.0.9", b"https, https", "https"),
        ("10.0.0.9", b"HTTPS", "https"),
        ("10.0.0.9", b"https,http", "https"),
        ("10.0.0.9", b" https ", "https"),
        ("10.0.0.9", b'"https"', "https"),
        ("10.0.0.9", b", https", "https"),
        ("10.0.0.9", b"wss", "https"),
        ("10.0.0.9", b"http, https", "http"),
        ("10.0.0.9", b"", "http"),
        ("::ffff:10.0.0.9", b"https", "https"),
        ("::ffff:192.0.2.7", b"https", "http"),
        ("10.0.0.9", b"http", "http"),
        ("10.0.0.9", b"ftp", "http"),
        ("192.0.2.7", b"https", "http"),
    ],
)
def test_the_scheme_is_forwarded_by_trusted_proxies_only(
    client: str, forwarded: bytes, scheme: str, settings: Any
) -> None:
    settings.ORBIT_TRUSTED_PROXIES = ["10.0.0.0/24", "::1"]
    environment = build((b"x-forwarded-proto", forwarded), client=client)
    assert environment["wsgi.url_scheme"] == scheme


def test_the_first_of_several_header_lines_is_the_clients_and_other_spellings_are_not_read(
    settings: Any,
) -> None:
    settings.ORBIT_TRUSTED_PROXIES = ["10.0.0.9"]
    lines = [(b"x-forwarded-proto", b"https"), (b"x-forwarded-proto", b"http")]
    assert build(*lines, client="10.0.0.9")["wsgi.url_scheme"] == "https"
    unread = [
        (b"host", b"host"),
        (b"x-forwarded-host", b"evil.example"),
        (b"x-forwarded-port", b"8443"),
        (b"forwarded", b"proto=https;host=evil.example"),
        (b"x-forwarded-ssl", b"on"),
        (b"front-end-https", b"on"),
    ]
    environment = build(*unread, client="10.0.0.9")
    assert (environment["wsgi.url_scheme"], environment["HTTP_HOST"]) == ("http", "host")


@pytest.mark.parametrize(
    ("host", "proto", "seen"),
    [
        (b"Orbit.Example.COM", b"https", "orbit.example.com"),
        (b"host:443", b"https", "host"),
        (b"host:80", b"http", "host"),
        (b"host:443", b"http", "host:443"),
        (b"host:8443", b"https", "host:8443"),
        (b"[::1]:443", b"https", "[::1]"),
    ],
)
def test_a_host_is_written_as_browsers_write_it_in_origin(
    host: bytes, proto: bytes, seen: str, settings: Any
) -> None:
    settings.ORBIT_TRUSTED_PROXIES = ["10.0.0.9"]
    environment = build((b"host", host), (b"x-forwarded-proto", proto), client="10.0.0.9")
    assert environment["HTTP_HOST"] == seen


def test_a_star_trusts_every_peer(settings: Any) -> None:
    settings.ORBIT_TRUSTED_PROXIES = ["*"]
    for client in ("192.0.2.7", "2001:db8::1", ""):
        environment = build((b"x-forwarded-proto", b"https"), client=client)
        assert environment["wsgi.url_scheme"] == "https"
