"""ORBIT_TRUSTED_ORIGINS is checked at the start."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from orbit_site.settings import origins


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://host:8443", "https://host:8443"),
        ("HTTPS://Orbit.Example.COM:8443", "https://orbit.example.com:8443"),
        ("https://host:443", "https://host"),
        ("http://host:80", "http://host"),
        ("https://*.example.com", "https://*.example.com"),
        ("https://*.example.com:8443", "https://*.example.com:8443"),
        ("https://grüße.example", "https://xn--gre-6ka8l.example"),
        ("https://127.0.0.1:8443", "https://127.0.0.1:8443"),
        ("https://[::1]:8443", "https://[::1]:8443"),
    ],
)
def test_an_origin_is_written_as_browsers_send_it(text: str, origin: str) -> None:
    assert origins.read([text], "ORBIT_TRUSTED_ORIGINS") == [origin]


@pytest.mark.parametrize(
    ("text", "correction"),
    [
        ("host", "Write https://host."),
        ("host:8443", "Write https://host:8443."),
        ("//host", "Write https://host."),
        ("https:/host", "Write https://host."),
        ("https://host/", "Write https://host."),
        ("https://host:8443/admin/?a=b", "Write https://host:8443."),
        ('"https://host"', "Write https://host."),
        ("https://a;https://b/", "Write https://a,https://b."),
        ("https://a https://b", "Write https://a,https://b."),
        ("*", "every site"),
        ("https://*", "Write https://*.example.com."),
        ("https://orbit.*.com", "Write https://*.example.com."),
        ("https://host:99999", "port"),
        ("https://host:", "port"),
        ("https://", "host"),
        ("https://a..b", "host"),
        ("https://[::1", "host"),
        ("ftp://host", "Write https://host."),
        ("null", "scheme"),
        ("https://user:hush@host", "Write https://host."),
        ("user:hush@host", "Write https://host."),
    ],
)
def test_anything_else_is_a_start_error_with_the_corrected_item(text: str, correction: str) -> None:
    with pytest.raises(ImproperlyConfigured) as raised:
        origins.read(["https://fine.example", text], "ORBIT_TRUSTED_ORIGINS")
    message = str(raised.value)
    assert message.startswith("ORBIT_TRUSTED_ORIGINS holds ")
    assert correction in message
    assert "hush" not in message
