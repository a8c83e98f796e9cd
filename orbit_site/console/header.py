"""The Halt form in the header, and the banners alone, to refresh an open page."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.console import pages
from governance.console.base import actor_of
from governance.models import Namespace
from orbit_site.console import banner

_MAX_CHOICES = 200


def halting(request: HttpRequest, actor: Actor) -> dict[str, Any] | None:
    """Return the choices of the Halt form; None without permission."""
    if not actor.may(Scope.OPERATE):
        return None
    names = list(
        Namespace.objects.filter(actor.filter("name"))
        .order_by("name")
        .values_list("name", flat=True)[:_MAX_CHOICES]
    )
    return {
        "namespace": request.GET.get("namespace", "") or (names[0] if len(names) == 1 else ""),
        "offered": names,
    }


@pages.page("banners/", name="banners", title="Banners")
def banners(request: HttpRequest) -> HttpResponse:
    """Return only the banners."""
    return TemplateResponse(
        request, "console/_banners.html", {"banners": banner.active(actor_of(request))}
    )
