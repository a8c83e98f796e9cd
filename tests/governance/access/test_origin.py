"""Whose request it is."""

from typing import Any

import pytest
from django.test import RequestFactory

from governance.access import origin


@pytest.mark.parametrize(("proxies", "peer", "forwarded", "expected"), [
    ([], "192.0.2.7", "", "192.0.2.7"),
    ([], "127.0.0.1", "192.0.2.7", "127.0.0.1"),
    (["127.0.0.1"], "127.0.0.1", "192.0.2.7", "192.0.2.7"),
    (["127.0.0.1"], "127.0.0.1", "", "127.0.0.1"),
    (["127.0.0.1"], "192.0.2.9", "198.51.100.1", "192.0.2.9"),
    (["10.0.0.0/8"], "10.0.0.1", "198.51.100.1, 192.0.2.7, 10.0.0.2", "192.0.2.7"),
    (["10.0.0.0/8"], "10.0.0.1", "nonsense, 10.0.0.2", "10.0.0.2"),
    (["127.0.0.1"], "127.0.0.1", "192.0.2.7:4711", "192.0.2.7"),
    (["127.0.0.1"], "127.0.0.1", "[2001:db8:1:2::7]:4711", "2001:db8:1:2::/64"),
    (["127.0.0.1"], "127.0.0.1", "[2001:db8:1:2::7]", "2001:db8:1:2::/64"),
    (["*"], "10.0.0.1", "198.51.100.1, 192.0.2.7", "198.51.100.1"),
    ([], "2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64"),
    ([], "::ffff:192.0.2.7", "", "192.0.2.7"),
    ([], "", "192.0.2.7", ""),
])  # fmt: skip
def test_the_address_is_the_last_one_that_is_not_a_trusted_proxy(
    settings: Any, proxies: list[str], peer: str, forwarded: str, expected: str
) -> None:
    settings.ORBIT_FORWARDING_PROXIES = proxies
    assert (
        origin.address(RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded))
        == expected
    )
