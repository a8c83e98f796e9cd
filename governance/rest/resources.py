"""What every resource of the API is."""

from typing import Any, ClassVar

from rest_framework.views import APIView

from governance.access.actors import Actor
from governance.access.roles import Power


class Resource(APIView):
    """A resource; ``powers`` says what each method needs. Answers nothing to OPTIONS: what there is stands in the schema."""

    powers: ClassVar[dict[str, Power]] = {}
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]

    @property
    def actor(self) -> Actor:
        """Who calls, as a token's or a session's power and namespaces allow."""
        actor: Any = self.request.auth
        assert isinstance(actor, Actor)  # noqa: S101 - HasScope lets nobody else in
        return actor
