"""What stands at the top of every page beside the banners: Halt, for whoever may; and the banners by themselves, for pages that stay open."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.console import pages
from governance.console.base import actor_of
from governance.models import Namespace
from orbit_site.console import banner

_OFFERED = 200


def halting(request: HttpRequest, actor: Actor) -> dict[str, Any] | None:
    """Return what Halt needs: the page's namespace, where its address names one, and the first ones to choose from; None for who may not."""
    if not actor.may(Scope.OPERATE):
        return None
    names = list(
        Namespace.objects.filter(actor.filter("name"))
        .order_by("name")
        .values_list("name", flat=True)[:_OFFERED]
    )
    return {
        "namespace": request.GET.get("namespace", "") or (names[0] if len(names) == 1 else ""),
        "offered": names,
    }


@pages.page("banners/", name="banners", title="Banners")
def banners(request: HttpRequest) -> HttpResponse:
    """Answer with the banners alone."""
    return TemplateResponse(
        request, "console/_banners.html", {"banners": banner.standing(actor_of(request))}
    )
