"""The menu: places by what one wants to do."""

from dataclasses import dataclass, field
from urllib.parse import urlencode

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

from governance.console import pages
from governance.console.base import actor_of
from orbit_site.console import counts

#: Title and address below ``/admin/``. A place is shown if a page or a table that the user may
#: open has this address. Other pages with a ``group`` come behind the places of their group.
PLACES = (
    (
        "Now",
        (
            ("Dashboard", ""),
            ("Cycles", "orbit/cyclerun/"),
            ("Run now", "orbit/cyclerun/trigger/"),
            ("Schedule", "orbit/schedules/"),
            ("Alerts", "alerts/"),
            ("Pause", "pause/"),
            ("Handover", "handover/"),
        ),
    ),
    (
        "Deliveries",
        (
            ("Dead letters", "orbit/deadletterdispatch/"),
            ("Jobs", "orbit/dispatchjob/"),
            ("Endpoints", "orbit/endpoints/"),
            ("Items", "orbit/normalizationitem/"),
        ),
    ),
    (
        "Decide",
        (
            ("Approvals", "advisory/strategyproposal/"),
            ("Signals", "advisory/advisorysignal/"),
        ),
    ),
    (
        "Configuration",
        (
            ("Profiles", "orbit/profile/"),
            ("Run profiles", "orbit/runprofile/"),
            ("Drift", "config/drift/"),
        ),
    ),
    (
        "Govern",
        (
            ("Namespaces", "governance/namespace/"),
            ("Audit trail", "governance/audittrailentry/"),
            ("Access", "access/"),
        ),
    ),
    (
        "Monitoring",
        (
            ("Operations", "governance/operationrun/"),
            ("Conductor", "orbit/conductorrun/"),
            ("Telemetry", "telemetry/telemetryevent/"),
            ("Coverage", "telemetry/coverage/"),
            ("Error groups", "telemetry/errorgroup/"),
            ("Projection", "telemetry/projection/"),
            ("Value", "orbit/valueledgerentry/"),
            ("System", "health/"),
            ("All tables", "tables/"),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Place:
    """A link of the menu."""

    title: str
    url: str
    is_here: bool
    count: str = ""
    style: str = ""


@dataclass(slots=True)
class Group:
    """A heading of the menu and its places."""

    name: str
    places: list[Place] = field(default_factory=list)


def suffix(namespace: str) -> str:
    """Return the query that keeps ``namespace`` in a link."""
    return f"?{urlencode({'namespace': namespace})}" if namespace else ""


def groups(request: HttpRequest, namespace: str) -> list[Group]:
    """Return the places that the user may open."""
    root, waiting = reverse("admin:index"), counts.of(request, namespace)
    listed = {address for _, places in PLACES for _, address in places}
    offered = {
        name: [*places, *((page.title, page.address) for page in _others(name, listed))]
        for name, places in PLACES
    }
    open_to_user = _open_addresses(request)
    here = _here(request.path.removeprefix(root), open_to_user & listed)
    answer = [
        Group(
            name,
            [
                Place(
                    title,
                    root + address + suffix(namespace),
                    address == here,
                    *waiting.get(address, ("", "")),
                )
                for title, address in places
                if address in open_to_user
            ],
        )
        for name, places in offered.items()
    ]
    return [group for group in answer if group.places]


def _others(group: str, listed: set[str]) -> list[pages.Page]:
    return [
        page
        for page in pages.registered()
        if page.group == group and page.address not in listed and "<" not in page.address
    ]


def _open_addresses(request: HttpRequest) -> set[str]:
    actor = actor_of(request)
    tables = {
        f"{model._meta.app_label}/{model._meta.model_name}/"
        for model, table in admin.site._registry.items()
        if table.has_view_permission(request)
    }
    return {"", *tables, *(page.address for page in pages.registered() if page.open_to(actor))}


def _here(path: str, addresses: set[str]) -> str | None:
    """Return the longest address that ``path`` begins with, if any."""
    if not path:
        return ""
    matching = (address for address in addresses if address and path.startswith(address))
    return max(matching, key=len, default=None)
