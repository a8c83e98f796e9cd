"""Compare a job's endpoint with the current configuration, by fingerprints alone."""

from enum import StrEnum

from django.conf import settings

from orbit.dispatch import endpoints
from orbit.outbound import secrets


class EndpointDrift(StrEnum):
    """The configured endpoint compared with the one that a job keeps."""

    SAME = "same"
    CHANGED = "changed"
    GONE = "gone"


class ConfiguredEndpoints:
    """The endpoints as they are configured now. Fingerprints are computed once."""

    def __init__(self) -> None:
        self._endpoints = endpoints.configured()
        self._fingerprints: dict[str, frozenset[str]] = {}

    def compare(self, endpoint_key: str, fingerprint: str) -> EndpointDrift:
        """Compare the endpoint of this key with the snapshot of this fingerprint."""
        endpoint = self._endpoints.get(endpoint_key)
        if endpoint is None:
            return EndpointDrift.GONE
        if endpoint_key not in self._fingerprints:
            document = endpoints.snapshot_document(endpoint)
            # By each key: snapshots from before a key rotation were made with an older one.
            self._fingerprints[endpoint_key] = frozenset(
                secrets.fingerprint(document, [key]) for key in settings.ORBIT_ENCRYPTION_KEYS
            )
        return (
            EndpointDrift.SAME
            if fingerprint in self._fingerprints[endpoint_key]
            else EndpointDrift.CHANGED
        )
