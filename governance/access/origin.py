"""Where a request comes from: the address that counts for limits.

The peer's, unless that is one of your proxies: then the last address of ``X-Forwarded-For`` that none of them has. Anybody can send that
header, so it is read only where ORBIT_TRUSTED_PROXIES was set, not by its default.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

#: Whoever has one address of it has all: what a provider gives to one customer.
_IPV6_PREFIX = 64


def address(request: HttpRequest) -> str:
    """Return the client's address as text; an IPv6 one as its network of 64 bits."""
    peer = request.META.get("REMOTE_ADDR", "")
    found = _read(peer)
    if found is None:
        return str(peer)[:50]
    hops = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    while hops and _is_proxy(found):
        before = _read(hops.pop())
        if before is None:
            break
        found = before
    if isinstance(found, IPv6Address):
        return str(ip_network((found, _IPV6_PREFIX), strict=False))
    return str(found)


def _read(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (isinstance(found, IPv6Address) and found.ipv4_mapped) or found


def _is_proxy(found: IPv4Address | IPv6Address) -> bool:
    return any(
        item == "*" or found in ip_network(item, strict=False)
        for item in settings.ORBIT_FORWARDING_PROXIES
    )
