"""Compare a job's endpoint with the current configuration, by fingerprints alone."""

from enum import StrEnum

from django.conf import settings

from orbit.dispatch import endpoints
from orbit.outbound import secrets


class EndpointDrift(StrEnum):
    """The configured endpoint compared with a job's snapshot."""

    SAME = "same"
    CHANGED = "changed"
    GONE = "gone"


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
