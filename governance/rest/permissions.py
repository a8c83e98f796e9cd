"""May the caller? Asked before the body is read."""

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from governance.access.actors import Actor
from governance.access.roles import Scope

if TYPE_CHECKING:
    # The framework imports this module while it makes its views.
    from rest_framework.views import APIView


class HasScope(BasePermission):
    """The view's ``powers`` name what each method needs; a method that it doesn't name needs ``read``, and is then refused as unknown."""

    message = "This needs a permission that you don't have."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Tell whether the caller may; the framework answers 401 to nobody and 403 to somebody who may not."""
        actor = request.auth
        if not isinstance(actor, Actor):
            return False
        method = "GET" if request.method == "HEAD" else request.method
        needed: Scope = getattr(view, "scopes", {}).get(method, Scope.READ)
        self.message = f"This needs the permission {needed}."
        return actor.may(needed)
