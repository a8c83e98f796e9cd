"""How the endpoint of a job stands today: as it was, changed, or gone. Fingerprints are compared, nothing is opened."""

from enum import StrEnum

from django.conf import settings

from orbit.dispatch import endpoints
from orbit.outbound import secrets


class Today(StrEnum):
    """Today's configuration beside the one that a job keeps."""

    SAME = "same"
    CHANGED = "changed"
    GONE = "gone"


class Configuration:
    """The endpoints as they are configured now, by their fingerprints, each worked out once."""

    def __init__(self) -> None:
        self._known = endpoints.configured()
        self._prints: dict[str, frozenset[str]] = {}

    def compare(self, endpoint_key: str, fingerprint: str) -> Today:
        """Return how the endpoint of that key stands against the configuration of that fingerprint."""
        found = self._known.get(endpoint_key)
        if found is None:
            return Today.GONE
        if endpoint_key not in self._prints:
            document = endpoints.snapshot_document(found)
            # By each key: those of snapshots from before a rotation were made with an older one.
            self._prints[endpoint_key] = frozenset(
                secrets.fingerprint(document, [key]) for key in settings.ORBIT_ENCRYPTION_KEYS
            )
        return Today.SAME if fingerprint in self._prints[endpoint_key] else Today.CHANGED
