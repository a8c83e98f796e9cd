"""Template tags of saved filters."""

from typing import Any

from django import template

from governance.console.base import actor_of
from orbit_site.saved_filters import keep, listing

register = template.Library()


@register.inclusion_tag("console/_saved_of_list.html", takes_context=True)
def saved_filters(context: Any, opts: Any) -> dict[str, Any]:
    """Show the saved filters of a list, and the form that keeps the present one."""
    request, address = context["request"], f"{opts.app_label}/{opts.model_name}/"
    return {
        "address": address,
        "choices": listing.of_list(request, address),
        "query": request.GET.urlencode(),
        "may_share": keep.may_share(actor_of(request)),
        "csrf_token": context.get("csrf_token"),
    }
