import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest

from orbit.outbound import redaction
from orbit.outbound.redaction import MASK, mask, secrets_of_url

SECRET = 'tok/en+"4&2<7=~Zq'


def test_a_text_without_secrets_is_unchanged() -> None:
    text = b"\xff\x00 not found: to"
    assert mask(text, (SECRET,)) == text
    assert mask(b"", (SECRET,)) == b""
    assert mask(text, ()) == text


@pytest.mark.parametrize(
    "spelled",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET).replace("/", "\\/"),
        html.escape(SECRET),
        html.escape(SECRET, quote=False),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        f"Bearer {SECRET}, {SECRET}",
    ],
)
def test_each_spelling_that_an_echo_uses_is_masked(spelled: str) -> None:
    masked = mask(f"you sent <{spelled}>!".encode(), (SECRET,))
    assert masked.startswith(b"you sent <")
    assert masked.endswith(b">!")
    assert MASK in masked
    assert not any(SECRET[start : start + 4].encode() in masked for start in range(len(SECRET) - 3))


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("before", range(6))
def test_almost_nothing_of_a_secret_is_left_inside_base64_of_a_longer_text(
    before: int, encode: object
) -> None:
    text = b"x" * before + SECRET.encode() + b": and so on"
    masked = mask(encode(text), (SECRET,))  # type: ignore[operator]
    assert MASK in masked
    remainder = base64.b64decode(
        masked.split(MASK)[0] + b"A" * (-len(masked.split(MASK)[0]) % 4),
        altchars=b"-_" if encode is base64.urlsafe_b64encode else None,
    )
    assert SECRET[:3].encode() not in remainder


def test_a_secret_that_an_excerpt_cuts_in_two_is_masked_too() -> None:
    assert mask(b"you sent " + SECRET[:9].encode(), (SECRET,)) == b"you sent " + MASK
    assert mask(b"aaaaaaaaaaaaa", ("aaaaaaaab",)) == b"aaaaa" + MASK
    assert (
        mask(b"ends with " + SECRET[:3].encode(), (SECRET,)) == b"ends with " + SECRET[:3].encode()
    )


def test_of_two_secrets_the_longer_one_is_masked_whole() -> None:
    assert (
        mask(b"<secret-key-and-more>", ("secret-key", "secret-key-and-more")) == b"<" + MASK + b">"
    )


def test_a_secret_too_short_to_mask_is_left() -> None:
    assert mask(b"take one", ("t", "one")) == b"take one"


def test_of_a_url_everything_but_the_host_is_secret() -> None:
    url = "https://hooks.example.com/services/T0123/abcdefghij0123456789?sig=a%2Fbcdef&v=1"
    for text in (
        "/services/T0123/abcdefghij0123456789?sig=a%2Fbcdef&v=1",
        "/services/T0123/abcdefghij0123456789",
        "sig=a%2Fbcdef&v=1",
        "a/bcdef",
        "abcdefghij0123456789",
    ):
        assert MASK in mask(f"Cannot POST {text}.".encode(), secrets_of_url(url))
    assert (
        mask(b"hooks.example.com: services", secrets_of_url(url)) == b"hooks.example.com: services"
    )
    assert secrets_of_url("https://example.com") == secrets_of_url("https://example.com/v1") == ()


def test_the_encodings_of_secrets_are_computed_once() -> None:
    secrets = tuple(f"{SECRET}-{number}" for number in range(10))
    mask(b'{"ok":true}', secrets)
    computed = redaction.encodings.cache_info().misses
    for _ in range(1000):
        mask(b'{"ok":true}', secrets)
    assert redaction.encodings.cache_info().misses == computed
    assert len(redaction.encodings(secrets)) > 50


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("https://new.example:8443/hook", "https://new.example:8443/hook"),
        ("https://user:pass@new.example/hook", "https://new.example/hook"),
        ("//user@new.example/hook", "//new.example/hook"),
        ("\\\\user@new.example\\hook", "\\\\new.example\\hook"),
        ("https:user:pass@new.example/hook", "https:new.example/hook"),
        ("http://a@b@new.example/", "http://new.example/"),
        ("https://new.example/hook?token=hush#hush", "https://new.example/hook?..."),
        ("/@team/hook", "/@team/hook"),
        ("../hook", "../hook"),
        ("https://new.example/own-path-of-it/x", "https://new.example[masked]/x"),
        ("http://[::1", "http://[::1"),
        ("/a\x00\x1b[31m\x85b", "/a\ufffd\ufffd[31m\ufffdb"),
        ("https://b\xfccher.example/", "https://b\ufffdcher.example/"),
        ("/" + "x" * 9000, "/" + "x" * 299 + "..."),
    ],
)
def test_a_location_is_shown_without_what_may_be_a_secret(value: str, shown: str) -> None:
    assert redaction.location(value, ("/own-path-of-it",)) == shown
