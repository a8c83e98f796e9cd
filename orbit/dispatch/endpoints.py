"""Endpoints: where deliveries go. Read from ORBIT_DISPATCH_ENDPOINTS.

Errors show no token, no secret, and of a url only its host.
"""

import functools
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlsplit

from django.conf import settings

from governance.kernel import canonical, clock, schemas, strict_json
from governance.kernel.errors import Kind, OrbitError
from orbit.outbound import addresses, client, connections, redaction, signing

DEFAULT_KEY = "default-endpoint"
MAX_TEXT = 1024 * 1024
# For all host names together.
LOOK_UP_SECONDS = 10.0
_SCHEMA = (
    Path(__file__).resolve().parent.parent.parent / "config" / "schemas" / "endpoints.schema.json"
)
_RESERVED = frozenset(
    (
        "authorization",
        "host",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "cookie",
        "set-cookie",
        "expect",
        "idempotency-key",
        "accept-encoding",
        "user-agent",
        "date",
    )
)
_RESERVED_PREFIXES = ("content-", "proxy-", "webhook-", "x-orbit-", "sec-")


class EndpointsInvalid(OrbitError):
    """ORBIT_DISPATCH_ENDPOINTS is not valid."""

    code, kind = "endpoints_invalid", Kind.INVALID


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint. Times are seconds; its repr shows only key and host."""

    key: str
    url: str = field(repr=False)
    token: str = field(repr=False)
    method: str = "POST"
    signing_secret: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    connect_timeout: float = 5
    read_timeout: float = 10
    total_timeout: float = 20
    max_concurrency: int | None = None
    rate_per_second: float | None = None
    permanent_statuses: tuple[int, ...] = (410,)
    inquiry_url: str | None = field(default=None, repr=False)
    on_unknown: str = "resend"
    ca_bundle: str | None = None
    alerts: bool = False
    witness: bool = False

    @property
    def host(self) -> str:
        """The host of the url: the only part that may be shown."""
        return urlsplit(self.url).hostname or ""

    @property
    def is_capped(self) -> bool:
        """Whether it has a cap or a rate."""
        return self.max_concurrency is not None or self.rate_per_second is not None


# Not frozen, although nothing changes one: that takes longer than all else of making it.
@dataclass(slots=True)
class Delivery:
    """What a delivery carries besides its body. Missing ids are empty."""

    delivery_id: str
    content_type: str
    attempt: int
    namespace: str = ""
    profile_id: str = ""
    run_profile_id: str = ""
    cycle_id: str = ""
    traceparent: str = ""


def parse(
    text: str, allowed: Sequence[str], *, resolve: bool = False
) -> tuple[dict[str, Endpoint], list[str]]:
    """Return the endpoints of ``text`` by key, and warnings about unresolved names.

    ``resolve`` looks host names up. Raises EndpointsInvalid with all errors.
    """
    try:
        addresses.rules(tuple(allowed))
    except addresses.Refused as error:
        raise EndpointsInvalid(
            error.detail, errors=[{"pointer": "", "detail": error.detail}]
        ) from None
    if len(text) > MAX_TEXT:
        raise _invalid([{"pointer": "", "detail": f"Is longer than {MAX_TEXT} characters."}])
    try:
        document = strict_json.loads(text.strip().encode("utf-8", "surrogatepass") or b"[]")
    except strict_json.StrictJsonError as error:
        raise _invalid(error.errors) from None
    problems = schemas.problems(_schema(), document)
    if problems:
        raise _invalid(problems)
    by_key: dict[str, Endpoint] = {}
    places: dict[tuple[str, str], addresses.Destination] = {}
    for number, entry in enumerate(document):
        endpoint = _endpoint(entry)
        faults = [
            *_faults(endpoint, entry),
            *_url_faults(endpoint, tuple(allowed), f"/{number}", places),
        ]
        problems += [
            {"pointer": f"/{number}{pointer}", "detail": f"Endpoint `{endpoint.key}`: {detail}"}
            for pointer, detail in faults
        ]
        if endpoint.key in by_key:
            problems.append(
                {
                    "pointer": f"/{number}/key",
                    "detail": f"Endpoint `{endpoint.key}` is defined twice.",
                }
            )
        by_key[endpoint.key] = endpoint
    # A name that doesn't resolve now may later; one that resolves to refused addresses is an error.
    warnings = _look_up(places, allowed, problems) if resolve else []
    if problems:
        raise _invalid(problems)
    return by_key, warnings


def configured() -> Mapping[str, Endpoint]:
    """Return the configured endpoints by key. Raises EndpointsInvalid."""
    return _configured(
        settings.ORBIT_DISPATCH_ENDPOINTS, tuple(settings.ORBIT_DISPATCH_ALLOWED_HOSTS)
    )


def snapshot_document(endpoint: Endpoint) -> bytes:
    """Return ``endpoint`` with its secrets as canonical JSON, to be sealed."""
    return canonical.canonical_json(
        {**asdict(endpoint), "permanent_statuses": list(endpoint.permanent_statuses)}
    )


def from_snapshot(document: bytes) -> Endpoint:
    """Return the endpoint of a snapshot of any release. Raises ValueError."""
    try:
        return _endpoint(json.loads(document))
    except (TypeError, KeyError, AttributeError):
        raise ValueError("This is not a snapshot of an endpoint.") from None


def build_request(
    endpoint: Endpoint, delivery: Delivery, body: bytes, *, now: float | None = None
) -> client.Request:
    """Return the request of one attempt. ``now``: Unix time for its signature."""
    headers = {
        **endpoint.headers,
        "Authorization": f"Bearer {endpoint.token}",
        "Content-Type": delivery.content_type,
        "Idempotency-Key": delivery.delivery_id,
        "webhook-id": delivery.delivery_id,
        "X-Orbit-Attempt": str(delivery.attempt),
    }
    context = (
        ("Namespace", delivery.namespace),
        ("Profile", delivery.profile_id),
        ("Run-Profile", delivery.run_profile_id),
        ("Cycle", delivery.cycle_id),
    )
    # Names can hold any character, headers only ASCII.
    headers.update({f"X-Orbit-{name}": _quoted(value) for name, value in context if value})
    if delivery.traceparent:
        headers = client.with_default(headers, "traceparent", delivery.traceparent)
    if endpoint.signing_secret:
        timestamp = int(clock.timestamp() if now is None else now)
        headers["webhook-timestamp"] = str(timestamp)
        headers["webhook-signature"] = signing.sign(
            endpoint.signing_secret, message_id=delivery.delivery_id, timestamp=timestamp, body=body
        )
    return client.Request(
        endpoint.method,
        endpoint.url,
        headers,
        body,
        endpoint.connect_timeout,
        endpoint.read_timeout,
        endpoint.total_timeout,
        endpoint.ca_bundle,
        secrets_of(endpoint),
    )


@functools.lru_cache(maxsize=1024)
def _quoted(value: str) -> str:
    return quote(value, safe="/:@ ")


def secrets_of(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the texts to redact if a receiver sends them back."""
    return _secrets(
        endpoint.token,
        endpoint.signing_secret or "",
        tuple(endpoint.headers.values()),
        endpoint.url,
        endpoint.inquiry_url or "",
    )


@functools.lru_cache(maxsize=256)
def _secrets(
    token: str, signing_secret: str, values: tuple[str, ...], *urls: str
) -> tuple[str, ...]:
    parts = (part for url in urls for part in redaction.secrets_of_url(url))
    keys = [key for key in signing_secret.split(" ") if key]
    return tuple(
        dict.fromkeys(
            (token, *keys, *(key.removeprefix("whsec_") for key in keys), *values, *parts)
        )
    )


# Cached: FingerprintCache compares endpoints by identity.
@functools.lru_cache(maxsize=8)
def _configured(text: str, allowed: tuple[str, ...]) -> Mapping[str, Endpoint]:
    return MappingProxyType(parse(text, allowed)[0])


@functools.cache
def _schema() -> dict[str, Any]:
    return schemas.load(_SCHEMA)


def _endpoint(entry: Mapping[str, Any]) -> Endpoint:
    members = {field.name: entry[field.name] for field in fields(Endpoint) if field.name in entry}
    if "permanent_statuses" in members:
        members["permanent_statuses"] = tuple(members["permanent_statuses"])
    return Endpoint(**members)


def _faults(endpoint: Endpoint, entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    faults = _header_faults(endpoint.headers)
    faults += [
        (
            f"/{name}",
            f"Is longer than total_timeout ({endpoint.total_timeout:g} s), so it has no effect.",
        )
        for name in ("connect_timeout", "read_timeout")
        if name in entry and entry[name] > endpoint.total_timeout
    ]
    if endpoint.signing_secret is not None:
        try:
            signing.parse_secrets(endpoint.signing_secret)
        except ValueError as error:
            faults.append(("/signing_secret", str(error)))
    if endpoint.ca_bundle:
        try:
            connections.tls(endpoint.ca_bundle)
        except (ssl.SSLError, OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            faults.append(("/ca_bundle", f"Can't be used as a file of certificates ({why})."))
    return faults


def _url_faults(
    endpoint: Endpoint,
    allowed: tuple[str, ...],
    entry: str,
    places: dict[tuple[str, str], addresses.Destination],
) -> list[tuple[str, str]]:
    """Return the faults of an endpoint's urls; add their destinations to ``places``."""
    faults = []
    for name, url in (("url", endpoint.url), ("inquiry_url", endpoint.inquiry_url)):
        if url is None:
            continue
        try:
            parts = addresses.check_url(
                url.replace("{id}", "0") if name == "inquiry_url" else url, allowed
            )
            places[f"{entry}/{name}", endpoint.key] = addresses.destination_of(parts)
        except addresses.Refused as error:
            faults.append((f"/{name}", error.detail))
    if (
        endpoint.inquiry_url is not None
        and "{id}" not in endpoint.inquiry_url.partition("//")[2].partition("/")[2]
    ):
        faults.append(
            (
                "/inquiry_url",
                "Must contain {id} after the host; it is replaced by the delivery id.",
            )
        )
    return faults


def _look_up(
    places: Mapping[tuple[str, str], addresses.Destination],
    allowed: Sequence[str],
    problems: list[dict[str, str]],
) -> list[str]:
    """Add refused addresses to ``problems``; return warnings about unresolved names."""
    warnings = []
    answers = addresses.resolve_all(places.values(), allowed, seconds=LOOK_UP_SECONDS)
    for (pointer, key), place in places.items():
        error = answers[place]
        if isinstance(error, addresses.Refused):
            problems.append({"pointer": pointer, "detail": f"Endpoint `{key}`: {error.detail}"})
        elif error:
            warnings.append(f"Endpoint `{key}`: {error.detail}")
    return warnings


def _header_faults(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    faults, seen = [], set()
    for name in headers:
        lower_name = name.lower()
        if lower_name in _RESERVED or lower_name.startswith(_RESERVED_PREFIXES):
            faults.append(
                (f"/headers/{schemas.pointer([name])[1:]}", "This header is set by Orbit.")
            )
        if lower_name in seen:
            faults.append(
                (
                    f"/headers/{schemas.pointer([name])[1:]}",
                    "This header is given twice, in another case.",
                )
            )
        seen.add(lower_name)
    return faults


def _invalid(problems: list[dict[str, str]]) -> EndpointsInvalid:
    summary = "; ".join(
        f"{problem['pointer'] or 'the whole'}: {problem['detail']}" for problem in problems[:20]
    )
    return EndpointsInvalid(f"ORBIT_DISPATCH_ENDPOINTS can't be used: {summary}", errors=problems)
