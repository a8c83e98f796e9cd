"""The permission check, before the body is parsed."""

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from governance.access.actors import Actor
from governance.access.roles import Scope

if TYPE_CHECKING:
    # The framework imports this module while it makes its views.
    from rest_framework.views import APIView


class HasScope(BasePermission):
    """The caller has a scope that the method's ``@operation`` names."""

    message = "This needs a permission that you don't have."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Return whether the caller has one of the scopes."""
        actor = request.auth
        if not isinstance(actor, Actor):
            return False
        declared = getattr(view, "declaration", None)
        # An unknown method needs `read`, and gets its 405 after that.
        scopes = (Scope.READ,) if declared is None else declared.scopes
        self.message = f"This needs the permission {' or '.join(scopes)}."
        return actor.may(*scopes)
