"""The menu: places by what one wants to do."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

from governance.console import pages
from governance.console.base import actor_of
from orbit_site.overview.places import counts
from orbit_site.overview.summary import Summary

#: Title and address below ``/admin/``. A place is there if a page or a table that the user may
#: open has this address.
PLACES = {
    "Now": (
        ("Dashboard", ""),
        ("Cycles", "orbit/cyclerun/"),
        ("Run now", "orbit/cyclerun/trigger/"),
        ("Schedule", "orbit/schedules/"),
        ("Alerts", "alerts/"),
        ("Handover", "handover/"),
    ),
    "Deliveries": (
        ("Dead letters", "orbit/deadletterdispatch/"),
        ("Jobs", "orbit/dispatchjob/"),
        ("Endpoints", "orbit/endpoints/"),
    ),
    "Decide": (
        ("Approvals", "advisory/strategyproposal/"),
        ("Signals", "advisory/advisorysignal/"),
    ),
    "Configuration": (
        ("Profiles", "orbit/profile/"),
        ("Run profiles", "orbit/runprofile/"),
        ("Drift", "config/drift/"),
    ),
    "Govern": (
        ("Namespaces", "governance/namespace/"),
        ("Pause", "pause/"),
        ("Audit trail", "governance/audittrailentry/"),
        ("Access", "access/"),
    ),
    "Monitoring": (
        ("Operations", "governance/operationrun/"),
        ("Conductor", "orbit/conductorrun/"),
        ("Telemetry", "telemetry/telemetryevent/"),
        ("Value", "orbit/valueledgerentry/"),
        ("System", "health/"),
        ("All tables", "tables/"),
    ),
}
#: Places below another, shown while one of them or the other is open.
BELOW = {
    "orbit/schedules/": (("Why did it run?", "orbit/why/"),),
    "orbit/dispatchjob/": (("Items", "orbit/normalizationitem/"),),
    "advisory/strategyproposal/": (("Approval policies", "advisory/approvalpolicy/"),),
    "telemetry/telemetryevent/": (
        ("Coverage", "telemetry/coverage/"),
        ("Error groups", "telemetry/errorgroup/"),
        ("Projection", "telemetry/projection/"),
    ),
}


@dataclass(frozen=True, slots=True)
class Place:
    """A link of the menu."""

    title: str
    url: str
    is_here: bool
    count: str = ""
    style: str = ""
    is_below: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A heading of the menu and its places."""

    name: str
    places: list[Place]


def groups(request: HttpRequest, overview: Summary) -> list[Group]:
    """Return the places that the user may open."""
    root, waiting = reverse("admin:index"), counts(overview)
    listed = {each for places in (PLACES | BELOW).values() for _, each in places}
    open_to_user = _open_addresses(request)
    here = _here(request.path.removeprefix(root), open_to_user & listed)

    def place(title: str, address: str, is_below: bool) -> Place:
        link, count = root + address, waiting.get(address, ("", ""))
        return Place(title, link, address == here, *count, is_below=is_below)

    answer = [
        Group(name, [place(*each) for each in _unfolded(places, here) if each[1] in open_to_user])
        for name, places in PLACES.items()
    ]
    return [group for group in answer if group.places]


def _unfolded(
    places: Iterable[tuple[str, str]], here: str | None
) -> Iterator[tuple[str, str, bool]]:
    """Yield the places, and those below the one that is open."""
    for title, address in places:
        yield title, address, False
        below = BELOW.get(address, ())
        if here in {address, *(each for _, each in below)}:
            yield from ((*each, True) for each in below)


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
