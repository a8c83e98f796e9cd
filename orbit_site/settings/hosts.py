"""Checks host names, addresses and networks: one with a port or a scheme would never match."""

import re
from ipaddress import AddressValueError, IPv6Address, ip_address, ip_network

import idna
from django.core.exceptions import ImproperlyConfigured

_QUOTES = "\"'`\u201c\u201d\u2018\u2019"
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"\.?{_LABEL}(\.{_LABEL})*", re.IGNORECASE)


def check(name: str, items: list[str]) -> None:
    """Raise ImproperlyConfigured unless each of the variable's items can be a request's host."""
    for item in items:
        why = _problem(item)
        if why:
            raise ImproperlyConfigured(f"{name} holds {_shown(item)!r}: {why}")


def check_address(name: str, value: str) -> None:
    """Raise ImproperlyConfigured unless ``value`` is an address to listen on."""
    if not _is_address(value):
        meant = {"localhost": "127.0.0.1", "*": "0.0.0.0"}.get(  # noqa: S104 - a word, no socket
            value.lower(), re.sub(r":\d+$", "", value).strip("[]")
        )
        hint = f"Write {meant}" if _is_address(meant) else "Write 127.0.0.1, 0.0.0.0"
        raise ImproperlyConfigured(
            f"{name}={value[:100]!r} is not an address. {hint}, or an address of this machine; "
            "PORT has the port."
        )


def check_networks(name: str, items: list[str]) -> None:
    """Raise ImproperlyConfigured unless each item is an address, a network or ``*``."""
    for item in items:
        try:
            ip_network(item)
        except ValueError:
            if item != "*":
                hint = str(ip_network(item, strict=False)) if _is_network(item) else ""
                raise ImproperlyConfigured(
                    f"{name} holds {item[:100]!r}, which is no address or network. "
                    f"Write {hint or '10.0.0.7 or 10.0.0.0/24, with commas between them'}."
                ) from None


def _problem(item: str) -> str:
    if item == "*" or _NAME.fullmatch(item):
        return ""
    if re.search(r"[;\s]", item):
        parts = [part for part in re.split(r"[;\s]+", item) if part]
        return f"put commas between host names: {','.join(parts)[:200]}."
    if "/" in item and _is_network(item):
        return "a network is not possible. Write each address, or the name."
    if "_" in item and "://" not in item:
        return "a host name has no underscore; no request for it is answered. Write another name."
    right = corrected(item)
    if right == item:
        return ""
    return f"write {right} instead." if right else "write a host name such as orbit.example.com."


def corrected(item: str) -> str:
    """Return what is probably meant by a host name, "" if that isn't clear."""
    bare = item.strip(_QUOTES)
    bare = re.sub(r"^([a-z][a-z0-9+.-]*:/|https?:?|)/+", "", bare, flags=re.IGNORECASE)
    bare = re.split(r"[/?#]", bare)[0].rpartition("@")[2]
    if bare.count(":") > 1:
        try:
            return f"[{IPv6Address(bare.lstrip('[').partition(']')[0]).compressed}]"
        except AddressValueError:
            return ""
    bare = re.sub(r":\d*$", "", bare).rstrip(".")
    bare = bare[1:] if bare.startswith("*.") else bare
    if not bare.isascii():
        try:
            # As browsers do it; Python's own codec writes ß as ss.
            bare = idna.encode(bare, uts46=True).decode()
        except idna.IDNAError:
            return ""
    return bare if _NAME.fullmatch(bare) else ""


def _shown(item: str) -> str:
    """Return ``item`` without a password."""
    _, at, rest = item.rpartition("@")
    return f"...@{rest}"[:100] if at else item[:100]


def _is_address(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


def _is_network(item: str) -> bool:
    try:
        ip_network(item, strict=False)
    except ValueError:
        return False
    return True
