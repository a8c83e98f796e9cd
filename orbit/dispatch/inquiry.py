"""Asking the receiver whether it has a delivery whose attempt nobody knows the end of, before it is sent again."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from django.conf import settings

from orbit.dispatch.endpoints import Endpoint
from orbit.outbound import client


class Found(StrEnum):
    """The receiver has it, has it not, or gave no answer that tells."""

    HELD = "held"
    MISSING = "missing"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Reply:
    """What an inquiry found; ``note`` says how, in words that may be shown."""

    found: Found
    note: str


def ask(endpoint: Endpoint, delivery_id: UUID) -> Reply:
    """GET the endpoint's ``inquiry_url`` with ``delivery_id`` in place of ``{id}``: 200 holds it, 404 does not, anything else is no answer.

    It takes no longer than the endpoint's total time-out; never raises.
    """
    url = (endpoint.inquiry_url or "").replace("{id}", str(delivery_id))
    headers = {**endpoint.headers, "Authorization": f"Bearer {endpoint.token}"}
    request = client.Request(
        "GET",
        url,
        headers,
        b"",
        endpoint.connect_timeout,
        endpoint.read_timeout,
        endpoint.total_timeout,
        endpoint.ca_bundle,
    )
    answer = client.send(request, allowed=settings.ORBIT_DISPATCH_ALLOWED_HOSTS)
    if answer.status == 200:
        return Reply(Found.HELD, "the receiver has it: its answer to the inquiry was 200")
    if answer.status == 404:
        return Reply(Found.MISSING, "the receiver has it not: its answer to the inquiry was 404")
    said = f"HTTP {answer.status}" if answer.status is not None else answer.error
    return Reply(Found.SILENT, f"the inquiry brought no answer: {said}")
