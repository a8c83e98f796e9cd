"""Addresses in answers work for the client, also behind a proxy on another port."""

from typing import Any

import pytest
from django.test import RequestFactory

from governance.rest import links


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("host", "https://host:8443/cycles?cursor=x"),  # the proxy dropped the port
        ("host:8443", "http://host:8443/cycles?cursor=x"),
        ("host:3000", "http://host:3000/cycles?cursor=x"),
        ("inside", "http://inside/cycles?cursor=x"),
        ("a.example.com", "http://a.example.com/cycles?cursor=x"),
    ],
)
def test_a_lost_port_comes_from_the_trusted_origins(settings: Any, host: str, address: str) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://*.example.com", "https://host:8443"]
    request = RequestFactory().get("/cycles", headers={"Host": host})
    assert links.whole(request, "/cycles?cursor=x") == address
