"""Where requests may go: to public addresses over https, and to listed hosts.

A host is checked by what it resolves to at connection time, so DNS rebinding gains nothing.
"""

import functools
import ipaddress
import re
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from governance.kernel.errors import Kind, OrbitError

SETTING = "ORBIT_DISPATCH_ALLOWED_HOSTS"
RESOLVE_TIMEOUT = 3.0

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.(?!-)[a-z0-9_-]{1,63})*")
_DIGITS = re.compile(r"(?:\d+|0x[0-9a-f]*)")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
# A listed name doesn't open these; only an address or a network does. is_global isn't enough: it
# calls NAT64, 6to4, ::127.0.0.1, fec0:: and multicast global.
_SPECIAL: list[tuple[Network, str]] = [
    (ipaddress.ip_network(network), word)
    for network, word in (
        ("169.254.0.0/16", "link-local, where clouds keep their metadata"),
        ("fe80::/10", "link-local"),
        ("168.63.129.16/32", "a cloud's metadata address"),
        ("100.100.100.200/32", "a cloud's metadata address"),
        ("fd00:ec2::254/128", "a cloud's metadata address"),
        ("0.0.0.0/8", "unspecified"),
        ("::/128", "unspecified"),
        ("224.0.0.0/4", "multicast"),
        ("ff00::/8", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("fec0::/10", "site-local"),
        ("2002::/16", "6to4"),
        ("2001::/32", "Teredo"),
        ("64:ff9b:1::/48", "NAT64"),
        ("192.88.99.0/24", "6to4 relay"),
        ("3fff::/20", "for documentation only"),
    )
]
_PRIVATE: list[tuple[Network, str]] = [
    (ipaddress.ip_network(network), word)
    for network, word in (
        ("127.0.0.0/8", "loopback"),
        ("::1/128", "loopback"),
        ("10.0.0.0/8", "private"),
        ("172.16.0.0/12", "private"),
        ("192.168.0.0/16", "private"),
        ("100.64.0.0/10", "carrier-grade private"),
        ("fc00::/7", "private"),
        ("198.18.0.0/15", "private"),
    )
]
# getaddrinfo has no time-out, so each call gets a thread. This bounds the threads that hang.
RESOLVERS = threading.BoundedSemaphore(32)


class Refused(OrbitError):
    """This address may not be sent to."""

    code, kind = "address_refused", Kind.INVALID


class Unresolved(OrbitError):
    """This host name has no address."""

    code, kind = "name_unresolved", Kind.UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Rules:
    """The operator's list, parsed."""

    names: frozenset[str]  # lower case
    networks: tuple[Network, ...]  # also single addresses

    def covers(self, address: Address) -> bool:
        """Tell whether a listed network contains ``address``."""
        return any(
            address.version == network.version and address in network for network in self.networks
        )


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a url goes."""

    host: str
    port: int
    plain: bool  # over http


def destination_of(parts: SplitResult) -> Destination:
    """Return where a url goes that ``check_url`` accepted."""
    plain = parts.scheme == "http"
    return Destination(parts.hostname or "", parts.port or (80 if plain else 443), plain)


@functools.lru_cache(maxsize=64)
def rules(allowed: tuple[str, ...]) -> Rules:
    """Parse the operator's list. Raises Refused for an unusable entry."""
    names, networks = set(), []
    for entry in allowed:
        bare = entry.strip().lower().strip("[]")
        try:
            networks.append(ipaddress.ip_network(bare))
        except ValueError:
            name = bare.rstrip(".")
            if not _is_name(name):
                raise Refused(
                    f"{SETTING} holds {entry!r}: write a host name, an address or a network "
                    "such as 10.0.0.0/8, without scheme or port."
                ) from None
            names.add(name)
    return Rules(frozenset(names), tuple(networks))


def check_url(url: str, allowed: Sequence[str]) -> SplitResult:
    """Split ``url``; raise Refused if it is not allowed. Resolves nothing.

    The message holds no more of the url than its host.
    """
    parts, host = _split(url)
    literal = _literal(host)
    if literal is None and not _is_name(host):
        raise Refused(
            f"{host[:100]!r} is not a host name. Write an IPv4 address as four plain numbers, "
            "an IPv6 address in brackets."
        )
    allowlist = rules(tuple(allowed))
    if literal is not None:
        _permit(host, literal, allowlist, plain=parts.scheme == "http", named=False)
    elif parts.scheme == "http" and host not in allowlist.names and not allowlist.networks:
        raise Refused(
            f"{host} may be reached over https only. To allow http, add {host} to {SETTING}."
        )
    return parts


def _split(url: str) -> tuple[SplitResult, str]:
    """Return the parts of ``url`` and its host. Raises Refused."""
    if not re.fullmatch(r"[\x21-\x7e]{1,4096}", url) or "\\" in url:
        raise Refused(
            "The url must be at most 4096 visible ASCII characters. "
            "Write a host outside ASCII in its xn-- form, other characters as %XX."
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refused("The url can't be read: check its port and its brackets.") from None
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme not in ("https", "http"):
        raise Refused("The url must start with https:// (or http:// for a listed host).")
    if not host or "@" in parts.netloc:
        raise Refused(
            "The url must name a host, without user or password: put the token into `token`."
        )
    if "#" in url:
        raise Refused(
            f"The url of {host} holds a fragment (#...), which is never sent. Leave it out."
        )
    if port == 0 or parts.netloc.endswith(":"):
        raise Refused(f"The url of {host} has no valid port: write one between 1 and 65535.")
    return parts, host


def _is_name(host: str) -> bool:
    # A last label of digits would be read as an IPv4 address by some resolvers.
    return bool(_NAME.fullmatch(host)) and not _DIGITS.fullmatch(host.rpartition(".")[2])


def resolve(
    host: str,
    port: int,
    allowed: Sequence[str],
    *,
    plain: bool = False,
    timeout: float = RESOLVE_TIMEOUT,
) -> list[Address]:
    """Return the allowed addresses of ``host``, in the resolver's order.

    Raises Refused, and Unresolved after ``timeout`` seconds.
    """
    host = host.rstrip(".").lower()
    allowlist = rules(tuple(allowed))
    literal = _literal(host)
    answers = [literal] if literal is not None else _look_up(host, port, timeout)
    permitted: list[Address] = []
    refusal: Refused | None = None
    for answer in answers:
        try:
            # A host is not refused for one bad address among good ones.
            permitted.append(
                _permit(host, answer, allowlist, plain=plain, named=host in allowlist.names)
            )
        except Refused as error:
            refusal = refusal or error
    if not permitted:
        raise refusal or Unresolved(f"{host} has no address.")
    return permitted


def resolve_all(
    destinations: Iterable[Destination], allowed: Sequence[str], *, seconds: float
) -> dict[Destination, Refused | Unresolved | None]:
    """Resolve in parallel, within ``seconds``; return what ``resolve`` raised for each."""
    deadline = time.monotonic() + seconds

    def error_of(destination: Destination) -> Refused | Unresolved | None:
        try:
            resolve(
                destination.host,
                destination.port,
                allowed,
                plain=destination.plain,
                timeout=max(0.0, min(RESOLVE_TIMEOUT, deadline - time.monotonic())),
            )
        except (Refused, Unresolved) as error:
            return error
        return None

    distinct = list(dict.fromkeys(destinations))
    with ThreadPoolExecutor(16) as pool:
        return dict(zip(distinct, pool.map(error_of, distinct), strict=True))


def _literal(host: str) -> Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        raise Refused(f"{host} names a network interface. Write the address without %.")
    return address


def _look_up(host: str, port: int, timeout: float) -> list[Address]:
    slots = RESOLVERS
    if not slots.acquire(timeout=max(0.0, timeout)):
        raise Unresolved(f"{host} was not resolved: the resolver is busy.")
    answers: list[Address] = []
    failure: list[OSError | UnicodeError] = []
    done = threading.Event()

    def query() -> None:
        try:
            for *_rest, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                answers.append(ipaddress.ip_address(str(address[0])))
        except (OSError, UnicodeError, ValueError) as error:
            failure.append(
                error if isinstance(error, OSError | UnicodeError) else OSError(str(error))
            )
        finally:
            slots.release()
            done.set()

    try:
        threading.Thread(target=query, name="orbit-resolve", daemon=True).start()
    except RuntimeError:
        slots.release()
        raise Unresolved(f"{host} was not resolved: no thread could be started.") from None
    if not done.wait(max(0.0, timeout)):
        raise Unresolved(f"{host} was not resolved within {timeout:.1f} s.")
    if failure or not answers:
        raise Unresolved(f"{host} can't be resolved{f' ({failure[0]})' if failure else ''}.")
    return list(dict.fromkeys(answers))


def _permit(host: str, address: Address, allowlist: Rules, *, plain: bool, named: bool) -> Address:
    """Return the address to connect to. Raises Refused."""
    if allowlist.covers(address):
        return address
    target, word, special = _classify(address)
    if target.version != address.version and allowlist.covers(target):
        return target
    label = host if str(address) == host else f"{host} ({address})"
    if special or (word and not named):
        by_address = special or not _NAME.fullmatch(host) or host == str(address)
        entry = f"{address}" if by_address else f"{host} or {address}"
        hint = f"add {entry} to {SETTING}"
        raise Refused(
            f"{label} is {word}, and requests go to public addresses only. To allow it, {hint}."
        )
    if plain and not named:
        raise Refused(
            f"{label} may be reached over https only. To allow http, add {host} to {SETTING}."
        )
    return target


def _classify(address: Address) -> tuple[Address, str, bool]:
    """Return the address that counts, what it is, and whether it is special."""
    if isinstance(address, ipaddress.IPv6Address):
        # The connection would go to the IPv4 address.
        if address.ipv4_mapped is not None:
            return _classify(address.ipv4_mapped)
        if address in _NAT64:
            _, word, _ = _classify(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
            return address, f"NAT64 of an address that is {word}" if word else "", bool(word)
    for network, word in _SPECIAL:
        if address.version == network.version and address in network:
            return address, word, True
    for network, word in _PRIVATE:
        if address.version == network.version and address in network:
            return address, word, False
    if isinstance(address, ipaddress.IPv6Address) and address not in _PUBLIC_6:
        return address, "not a public address", True
    if not address.is_global:
        return address, "not a public address", True
    return address, "", False
