"""The approval policies of namespaces, and the form that changes one."""

from typing import Any

from django.http import HttpRequest
from django.shortcuts import redirect

from advisory.decisions import policy
from advisory.decisions.policy_form import PolicyForm
from governance.access.roles import Scope
from governance.console import pages
from governance.console.base import BoundedPaginator, actor_of
from governance.models import Namespace

_PER_PAGE = 50


@pages.page(
    "advisory/approvalpolicy/",
    "Approval policies",
    "admin/advisory/policies.html",
    name="advisory_approvalpolicies",
)
def policies(request: HttpRequest) -> pages.Answer:
    """List the policies of the namespaces that the user sees."""
    visible = Namespace.objects.filter(actor_of(request).filter("name")).order_by("name")
    names = visible.values_list("name", flat=True)
    page = BoundedPaginator(names, _PER_PAGE).get_page(request.GET.get("p"))
    return {"policies": policy.of_each(list(page)), "page": page}


@pages.page(
    "advisory/approvalpolicy/<str:namespace>/",
    "Approval policy",
    "admin/advisory/policy.html",
    scope=Scope.CONFIGURE,
    sends=Scope.CONFIGURE,
)
def change(request: HttpRequest, namespace: str) -> pages.Answer:
    """Show the form of one policy; on POST save it."""
    current = policy.of(namespace, actor=actor_of(request))
    form = PolicyForm(request.POST or None, initial=current.rules())

    def act(**rules: Any) -> str:
        saved = policy.change(namespace, actor=actor_of(request), **rules)
        return f"In {saved.namespace}, for new proposals: {saved.sentence}"

    if pages.done(request, form, act):
        return redirect("admin:advisory_approvalpolicies")
    return {"title": f"Approval policy of {namespace}", "policy": current, "form": form}
