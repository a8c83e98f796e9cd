"""Names, addresses and networks that would never match are refused with what is meant."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from orbit_site.settings import hosts


@pytest.mark.parametrize(
    ("item", "answer"),
    [
        ("https://orbit.example.com", "write orbit.example.com instead."),
        ("HTTP://orbit.example.com/admin?a=b", "write orbit.example.com instead."),
        ("https://user:word@h.example.com:8443/", "write h.example.com instead."),
        ("orbit.example.com:443", "write orbit.example.com instead."),
        ("orbit.example.com:", "write orbit.example.com instead."),
        ("orbit.example.com/", "write orbit.example.com instead."),
        ("orbit.example.com.", "write orbit.example.com instead."),
        ("*.example.com", "write .example.com instead."),
        ('"orbit.example.com"', "write orbit.example.com instead."),
        ("a;b", "put commas between host names: a,b."),
        ("a b", "put commas between host names: a,b."),
        ("a\nb", "put commas between host names: a,b."),
        ("bücher.example", "write xn--bcher-kva.example instead."),
        ("straße.example", "write xn--strae-oqa.example instead."),
        ("\u201corbit.example.com\u201d", "write orbit.example.com instead."),
        ("https:/orbit.example.com", "write orbit.example.com instead."),
        ("https//orbit.example.com", "write orbit.example.com instead."),
        ("//orbit.example.com", "write orbit.example.com instead."),
        ("::1", "write [::1] instead."),
        ("[::1]:3000", "write [::1] instead."),
        ("[0:0:0:0:0:0:0:1]", "write [::1] instead."),
        ("[FE80::1]", "write [fe80::1] instead."),
        ("http://[::1]:3000/", "write [::1] instead."),
        ("10.0.0.0/8", "a network is not possible. Write each address, or the name."),
        ("orbit_web", "a host name has no underscore; no request for it is answered. "),
        ("-a", "write a host name such as orbit.example.com."),
        ("https://", "write a host name such as orbit.example.com."),
        ('["a"]', "write a host name such as orbit.example.com."),
    ],
)
def test_a_host_that_never_matches_is_corrected(item: str, answer: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        hosts.check("ORBIT_ALLOWED_HOSTS", ["fine.example.com", item])
    shown = item.replace("https://user:word@", "...@")
    assert str(refusal.value).startswith(f"ORBIT_ALLOWED_HOSTS holds {shown!r}: {answer}")


def test_hosts_that_match_are_taken() -> None:
    fine = ["orbit.example.com", ".example.com", "Orbit", "10.0.0.7", "[::1]", "[fe80::1]", "*"]
    hosts.check("ORBIT_ALLOWED_HOSTS", [*fine, "xn--bcher-kva.example", "localhost"])


@pytest.mark.parametrize(
    ("value", "meant"),
    [("[::1]", "::1"), ("localhost", "127.0.0.1"), ("0.0.0.0:80", "0.0.0.0"), ("*", "0.0.0.0")],
)
def test_an_address_to_listen_on_is_corrected(value: str, meant: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="ORBIT_BIND") as refusal:
        hosts.check_address("ORBIT_BIND", value)
    assert f"Write {meant}," in str(refusal.value)


@pytest.mark.parametrize(
    ("item", "meant"),
    [("10.0.0.1/24", "Write 10.0.0.0/24."), ("10.0.0.1 10.0.0.2", "commas"), ("nginx", "10.0.0.7")],
)
def test_a_proxy_is_an_address_or_a_network(item: str, meant: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="ORBIT_TRUSTED_PROXIES") as refusal:
        hosts.check_networks("ORBIT_TRUSTED_PROXIES", ["127.0.0.1", "fd00::/8", "*", item])
    assert item in str(refusal.value)
    assert meant in str(refusal.value)
