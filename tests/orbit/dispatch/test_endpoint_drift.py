"""The current configuration beside that of a job: compared by fingerprints."""

from typing import Any

import pytest
from cryptography.fernet import Fernet

from orbit.dispatch import endpoints, enqueue
from orbit.dispatch.endpoint_drift import ConfiguredEndpoints, EndpointDrift
from orbit.models import EndpointSnapshot
from tests.support.pipeline import configure_endpoints

pytestmark = pytest.mark.usefixtures("committed")
URL = "http://127.0.0.1:9/x"


def now(key: str, fingerprint: str) -> EndpointDrift:
    return ConfiguredEndpoints().compare(key, fingerprint)


def test_an_endpoint_is_unchanged_changed_or_removed(settings: Any) -> None:
    configure_endpoints(settings, default_endpoint=URL)
    fingerprint = EndpointSnapshot.objects.get(
        pk=enqueue.snapshot_id(endpoints.configured()["default-endpoint"])
    ).fingerprint
    assert now("default-endpoint", fingerprint) == EndpointDrift.SAME
    settings.ORBIT_ENCRYPTION_KEYS = [
        Fernet.generate_key().decode(),
        *settings.ORBIT_ENCRYPTION_KEYS,
    ]
    assert now("default-endpoint", fingerprint) == EndpointDrift.SAME
    settings.ORBIT_DISPATCH_ENDPOINTS = settings.ORBIT_DISPATCH_ENDPOINTS.replace(
        "token-of-default_endpoint", "another-token"
    )
    assert now("default-endpoint", fingerprint) == EndpointDrift.CHANGED
    configure_endpoints(settings, other=URL)
    assert now("default-endpoint", fingerprint) == EndpointDrift.GONE
