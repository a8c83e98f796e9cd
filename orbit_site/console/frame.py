"""The frame round every page: namespace, menu, clock, Halt."""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.functional import cached_property

from advisory.proposals import waiting as proposals
from advisory.proposals.waiting import Waiting
from governance.console import pages
from governance.console.base import actor_of, namespace_of
from governance.kernel import clock
from governance.models import Namespace, OperationRun
from governance.operations import finished
from orbit_site import namespace_links, preferences
from orbit_site.console import menu
from orbit_site.overview import banners as overview_banners
from orbit_site.overview import facts, summary
from orbit_site.overview.banners import Banners
from orbit_site.overview.summary import Summary

_MAX_CHOICES = 200


@dataclass(frozen=True)
class Frame:
    """What the header and the menu of one request show."""

    request: HttpRequest

    @cached_property
    def namespace(self) -> str:
        """The namespace that the address names, "" for all."""
        return namespace_of(self.request)

    @cached_property
    def read(self) -> facts.Read:
        """What the overview reads."""
        return facts.read(actor_of(self.request), self.namespace)

    @cached_property
    def overview(self) -> Summary:
        """What needs the user, and the numbers."""
        return summary.of(actor_of(self.request), waiting=self.waiting, read=self.read)

    @cached_property
    def banners(self) -> Banners:
        """The banners, the most severe first."""
        return overview_banners.active(actor_of(self.request), self.read)

    @cached_property
    def namespaces(self) -> list[str]:
        """The user's namespaces; the address can name any other."""
        if not self.namespace:
            return list(self.overview.facts["namespaces"] or [])
        names = Namespace.objects.filter(actor_of(self.request).filter("name"))
        return list(names.order_by("name").values_list("name", flat=True)[:_MAX_CHOICES])

    @property
    def switch(self) -> namespace_links.Switch:
        """The links to this page for other namespaces."""
        return namespace_links.Switch(self.request, self.namespaces)

    @property
    def to_halt(self) -> str:
        """The namespace that the Halt form suggests."""
        of_object: str = getattr(self.request, "object_namespace", "")
        only = self.namespaces[0] if len(self.namespaces) == 1 else ""
        return self.namespace or of_object or only

    @cached_property
    def places(self) -> list[menu.Group]:
        """The menu."""
        return menu.groups(self.request, self.overview)

    @cached_property
    def now(self) -> datetime:
        """The database's time."""
        return clock.now()

    @property
    def keys(self) -> bool:
        """Whether single keys are commands."""
        return preferences.keys(self.request)

    @cached_property
    def finished(self) -> list[OperationRun]:
        """The user's operations that ended since they last looked."""
        since = self.request.COOKIES.get(preferences.READ, "")
        return finished.of(actor_of(self.request), since=since)

    @cached_property
    def waiting(self) -> Waiting:
        """The proposals that wait for the user."""
        return proposals.for_actor(actor_of(self.request))

    @property
    def news(self) -> str:
        """How many there are of both, "" for none."""
        return str(len(self.finished) + self.waiting.count or "")


def of(request: HttpRequest) -> Frame:
    """Return the frame of a request, read once."""
    frame: Frame | None = getattr(request, "console_frame", None)
    if frame is None:
        frame = request.console_frame = Frame(request)  # type: ignore[attr-defined]
    return frame


@pages.page("banners/", "Banners")
def banners(request: HttpRequest) -> pages.Answer:
    """Return only the banners, to refresh an open page."""
    fresh = overview_banners.read(actor_of(request), namespace_of(request))
    if request.headers.get("X-Look") == fresh.look:
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    return TemplateResponse(request, "console/_fresh_banners.html", {"banners": fresh})


@pages.page("tables/", "All tables", "console/tables.html")
def tables(request: HttpRequest) -> pages.Answer:
    """Return the stock admin's list of all tables."""
    return {"app_list": admin.site.get_app_list(request)}
