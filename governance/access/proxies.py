"""Which peers are proxies of ours, so that their headers count."""

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network


def is_among(peer: str, proxies: Iterable[str]) -> bool:
    """Return whether the address ``peer`` is one of ``proxies``: addresses, networks, ``*``."""
    try:
        parsed = ip_address(peer)
    except ValueError:  # a Unix socket has no address
        return "*" in proxies
    # ::ffff:192.0.2.1 is an IPv4 client of a dual-stack socket.
    address = (isinstance(parsed, IPv6Address) and parsed.ipv4_mapped) or parsed
    return any(item == "*" or address in ip_network(item, strict=False) for item in proxies)
