"""The approval policies of namespaces, and the form that changes one."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from advisory.decisions import policy
from advisory.decisions.policy_form import PolicyForm
from governance.access.roles import Scope
from governance.console import pages
from governance.console.base import BoundedPaginator, actor_of
from governance.models import Namespace

_PER_PAGE = 50
_LIST = "admin:advisory_approvalpolicies"


@pages.page("advisory/approvalpolicy/", name="advisory_approvalpolicies", title="Approval policies")
def policies(request: HttpRequest) -> HttpResponse:
    """List the policies of the namespaces that the user sees."""
    actor = actor_of(request)
    names = Namespace.objects.filter(actor.filter("name")).order_by("name")
    page = BoundedPaginator(names.values_list("name", flat=True), _PER_PAGE).get_page(
        request.GET.get("p")
    )
    return pages.draw(
        request,
        "admin/advisory/policies.html",
        title="Approval policies",
        policies=policy.of_each(list(page)),
        page=page,
        may_change=actor.may(Scope.CONFIGURE),
    )


@pages.page(
    "advisory/approvalpolicy/<str:namespace>/",
    name="advisory_approvalpolicy",
    title="Approval policy",
    scope=Scope.CONFIGURE,
    sends=Scope.CONFIGURE,
)
def change(request: HttpRequest, namespace: str) -> HttpResponse:
    """Show the form of one policy; on POST save it."""
    current = policy.of(namespace, actor=actor_of(request))
    form = PolicyForm(request.POST or None, initial=current.rules())

    def act(**rules: Any) -> str:
        saved = policy.change(namespace, actor=actor_of(request), **rules)
        return f"In {saved.namespace}, for new proposals: {saved.sentence}"

    if pages.done(request, form, act):
        return redirect(_LIST)
    return pages.draw(
        request,
        "admin/advisory/policy.html",
        title=f"Approval policy of {namespace}",
        policy=current,
        form=form,
        list_link=reverse(_LIST),
    )
