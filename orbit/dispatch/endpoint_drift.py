"""Compare a job's endpoint with the current configuration.

The comparison of many goes by fingerprints alone; the differences of one open its snapshot.
"""

from dataclasses import fields
from enum import StrEnum
from uuid import UUID

from django.conf import settings

from orbit.dispatch import endpoints
from orbit.dispatch.endpoints import Endpoint
from orbit.models import DeadLetterDispatch, EndpointSnapshot
from orbit.outbound import secrets
from orbit.states import Letter

#: Members whose values aren't shown, only that they differ.
_SECRET = {"token", "signing_secret", "headers", "url", "inquiry_url"}


class EndpointDrift(StrEnum):
    """The configured endpoint compared with a job's snapshot."""

    SAME = "same"
    CHANGED = "changed"
    GONE = "gone"


_WORDS = {
    EndpointDrift.SAME: "unchanged",
    EndpointDrift.CHANGED: "changed since then",
    EndpointDrift.GONE: "no longer configured",
}


class ConfiguredEndpoints:
    """The endpoints that are configured now."""

    def __init__(self) -> None:
        self._endpoints = endpoints.configured()
        self._fingerprints: dict[str, frozenset[str]] = {}

    def compare(self, endpoint_key: str, fingerprint: str) -> EndpointDrift:
        """Compare a configured endpoint with the snapshot of this fingerprint."""
        endpoint = self._endpoints.get(endpoint_key)
        if endpoint is None:
            return EndpointDrift.GONE
        if endpoint_key not in self._fingerprints:
            document = endpoints.snapshot_document(endpoint)
            # With each key: older snapshots were fingerprinted before a key rotation.
            self._fingerprints[endpoint_key] = frozenset(
                secrets.fingerprint(document, [key]) for key in settings.ORBIT_ENCRYPTION_KEYS
            )
        return (
            EndpointDrift.SAME
            if fingerprint in self._fingerprints[endpoint_key]
            else EndpointDrift.CHANGED
        )


def in_words(letter: DeadLetterDispatch) -> str:
    """Return whether an open letter's endpoint is still the one that it was made for."""
    if letter.status != Letter.OPEN:
        return "-"
    return _WORDS[
        ConfiguredEndpoints().compare(letter.endpoint_key, letter.job.snapshot.fingerprint)
    ]


def open_snapshot(snapshot: EndpointSnapshot) -> Endpoint | None:
    """Return the endpoint of a snapshot with its secrets, or None if no key opens it."""
    try:
        return endpoints.from_snapshot(
            secrets.unseal(bytes(snapshot.sealed), settings.ORBIT_ENCRYPTION_KEYS)
        )
    except (secrets.Unreadable, ValueError):
        return None


def differences(endpoint_key: str, snapshot_id: UUID) -> tuple[str, ...]:
    """Return what differs between a snapshot and the configured endpoint, without secrets."""
    now = endpoints.configured().get(endpoint_key)
    then = open_snapshot(EndpointSnapshot.objects.get(pk=snapshot_id))
    if now is None or then is None:
        return ()
    lines = [f"host: {then.host}, now {now.host}"] if then.host != now.host else []
    for field in fields(Endpoint):
        before, after = getattr(then, field.name), getattr(now, field.name)
        if before == after:
            continue
        if field.name in _SECRET:
            lines.append(f"{field.name}: changed")
        else:
            lines.append(f"{field.name}: {before}, now {after}")
    return tuple(lines)
