"""The client address of a request, which limits are counted by."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

# Providers give a customer a whole network of this size.
_IPV6_PREFIX = 64


def address(request: HttpRequest) -> str:
    """Return the client's address; of IPv6 the /64 network."""
    peer = request.META.get("REMOTE_ADDR", "")
    client = _parse(peer)
    if client is None:
        return str(peer)[:50]  # a Unix socket has no address
    # Any client can send this header: trust a hop only if a proxy of ours wrote it.
    hops = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    while hops and _is_proxy(client):
        previous = _parse(_without_port(hops.pop()))
        if previous is None:
            break
        client = previous
    if isinstance(client, IPv6Address):
        return str(ip_network((client, _IPV6_PREFIX), strict=False))
    return str(client)


def _without_port(hop: str) -> str:
    """Return the address of ``192.0.2.1:4711`` or ``[2001:db8::1]:4711``, as some proxies write."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    # ::ffff:192.0.2.1 is an IPv4 client of a dual-stack socket.
    return (isinstance(parsed, IPv6Address) and parsed.ipv4_mapped) or parsed


def _is_proxy(client: IPv4Address | IPv6Address) -> bool:
    return any(
        item == "*" or client in ip_network(item, strict=False)
        for item in settings.ORBIT_FORWARDING_PROXIES
    )
