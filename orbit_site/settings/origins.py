"""Origins as browsers send them: ``https://orbit.example.com:8443``."""

import re
from ipaddress import IPv6Address

import idna
from django.core.exceptions import ImproperlyConfigured

_FORM = "https://orbit.example.com:8443"
_HOST = re.compile(
    r"(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61})\.?"
)
_DEFAULT_PORTS = {"https": "443", "http": "80"}
_QUOTES = "\"'`\u201c\u201d\u2018\u2019"


class OriginInvalid(ValueError):
    """Why a text isn't an origin, and the origin that may be meant."""

    def __init__(self, why: str, meant: str = _FORM) -> None:
        self.why, self.meant = why, meant
        super().__init__(why)


def read(items: list[str], name: str) -> list[str]:
    """Return the origins of the variable ``name``. Raises ImproperlyConfigured."""
    origins = []
    for item in items:
        try:
            origins.append(parse(item))
        except OriginInvalid as error:
            raise ImproperlyConfigured(
                f"{name} holds {_shown(item)!r}, which {error.why}. Write {error.meant}."
            ) from None
    return list(dict.fromkeys(origins))


def parse(text: str) -> str:
    """Return ``text`` as a browser writes that origin. Raises OriginInvalid."""
    bare = text.strip().strip(_QUOTES)
    if bare != text:
        raise OriginInvalid("has quotes around it", _meant(bare))
    if text == "*":
        raise OriginInvalid("would let every site send forms")
    if re.search(r"[;|\s]", text):
        several = ",".join(_meant(part) for part in re.split(r"[;|\s]+", text) if part)
        raise OriginInvalid("holds several: separate them by commas", several)
    scheme, separator, address = text.partition("://")
    if not separator or not scheme.isalpha():
        host = re.sub(r"^(https?:|null$)?[/:]*", "", text, flags=re.IGNORECASE)
        raise OriginInvalid("has no scheme", _meant(f"https://{host}"))
    scheme, place = scheme.lower(), re.split(r"[/?#\\]", address)[0]
    if scheme not in _DEFAULT_PORTS:
        raise OriginInvalid("isn't http or https", _meant(f"https://{place}"))
    if "@" in place:
        origin = f"{scheme}://{place.rpartition('@')[2]}"
        raise OriginInvalid("holds a user name or a password", _meant(origin))
    if place != address:
        raise OriginInvalid("has more than scheme, host and port", _meant(f"{scheme}://{place}"))
    return f"{scheme}://{_host_and_port(place, scheme)}"


def _host_and_port(place: str, scheme: str) -> str:
    host, colon, port = place.rpartition(":")
    if not colon or port.endswith("]"):
        host, colon, port = place, "", ""
    host = _address(host) if host.startswith("[") and host.endswith("]") else _name(host)
    if not colon or port.lstrip("0") == _DEFAULT_PORTS[scheme]:
        return host  # browsers leave the scheme's own port out
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise OriginInvalid("has a port that isn't 1 to 65535", f"{scheme}://{host}:8443")
    return f"{host}:{int(port)}"


def _address(text: str) -> str:
    try:
        return f"[{IPv6Address(text[1:-1])}]"
    except ValueError:
        raise OriginInvalid("has no valid host") from None


def _name(text: str) -> str:
    star, name = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    try:
        # As browsers do it; Python's own codec writes ß as ss.
        name = name if name.isascii() else idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        raise OriginInvalid("has no valid host") from None
    host = star + name.lower()
    if not _HOST.fullmatch(host):
        why = "has a star elsewhere than before a domain" if "*" in host else "has no valid host"
        raise OriginInvalid(why, "https://*.example.com" if "*" in host else _FORM)
    return host


def _meant(text: str) -> str:
    """Return ``text`` corrected, or the general form."""
    try:
        return parse(text)
    except OriginInvalid as error:
        return error.meant


def _shown(item: str) -> str:
    """Return ``item`` without a password."""
    _, at, rest = item.rpartition("@")
    return f"...@{rest}"[:200] if at else item[:200]
