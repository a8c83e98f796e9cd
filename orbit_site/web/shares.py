"""Which pool answers a request.

Whatever takes the threads of the ordinary pool, work can still be stopped: halt, pause, cancel
and the probes have threads and database connections of their own. So have telemetry's ingest and
large bodies.
"""

import re

from django.conf import settings

from orbit_site.web.pools import Size
from telemetry import database
from telemetry.ingest import limits

ORDINARY, STOPS, CANCELS, READY, HEALTH = "ordinary", "stops", "cancels", "ready", "health"
EVENTS, TELEMETRY, LARGE = "events", "telemetry", "large"

SIZES = {
    ORDINARY: Size(threads=8, wait=5, work=60, proof=1),
    STOPS: Size(threads=2, wait=5, work=10, proof=0.25, reserved=True),
    # Apart from the stops: a cancellation may wait for a worker's write.
    CANCELS: Size(threads=2, wait=5, work=10, proof=0.25, reserved=True),
    # A flood of telemetry takes no thread from anything else.
    EVENTS: Size(threads=2, wait=5, work=60, proof=1),
    # Checking one is computing, which a second thread doesn't speed up. Of many at once each would
    # hold up a stop, and that at every statement.
    LARGE: Size(threads=2, wait=15, work=60, proof=1),
    READY: Size(threads=1, wait=5, work=10, proof=0.25),
    HEALTH: Size(threads=1, wait=5, work=10, proof=0.25),
}
if database.IS_SEPARATE:
    # While its own database is silent, these wait, and nothing else.
    SIZES[TELEMETRY] = Size(threads=4, wait=5, work=30, proof=1)
#: No stop has a larger body.
SMALL_BODY = 64 * 1024
_PROBES = {"/health": HEALTH, "/ready": READY}
_EVENTS_PATH = "/telemetry/events"
_STOP = re.compile(
    r"/governance/(?:namespaces/[^/]+/(?:halt|drain|resume)|pause|unpause)"
    r"|/admin/(?:halt|pause)/"
    r"|/admin/governance/namespace/[^/]+/(?:halt|drain|resume)/"
)
_CANCEL = re.compile(
    r"/(?:cycles|operations)/[^/]+/cancel"
    r"|/admin/(?:orbit/cyclerun|governance/operationrun)/[^/]+/cancel/"
)
#: The forms that stop, of the console's menu.
_STOP_PAGES = {"/admin/halt/", "/admin/pause/"}
#: A list of the console sends its action in the form.
_STOP_LIST = "/admin/governance/namespace/"
_CANCEL_LISTS = {"/admin/orbit/cyclerun/", "/admin/governance/operationrun/"}
_ACTION = re.compile(rb"(?:^|&)action=(\w+)(?:&|$)")


def of(method: str, path: str, body: bytes) -> str:
    """Return the name of the pool."""
    if path in _PROBES:
        return _PROBES[path]
    if method == "POST" and path == _EVENTS_PATH:
        return EVENTS
    if database.IS_SEPARATE and path.startswith(("/telemetry/", "/admin/telemetry/")):
        return TELEMETRY
    if len(body) > SMALL_BODY:
        return LARGE
    if method == "GET" and path in _STOP_PAGES:
        return STOPS
    return _of_post(path, body) if method == "POST" else ORDINARY


def _of_post(path: str, body: bytes) -> str:
    if _STOP.fullmatch(path):
        return STOPS
    if _CANCEL.fullmatch(path):
        return CANCELS
    action = _action(body) if path.startswith("/admin/") else ""
    if path == _STOP_LIST and action in {"halt", "drain", "resume"}:
        return STOPS
    if path in _CANCEL_LISTS and action == "cancel":
        return CANCELS
    return ORDINARY


def largest_body(method: str, path: str) -> int:
    """Return how many bytes of a request's body are read."""
    if method == "POST" and path == _EVENTS_PATH:
        return limits.LARGEST_REQUEST
    return int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


def _action(body: bytes) -> str:
    match = _ACTION.search(body)
    return match[1].decode() if match else ""
