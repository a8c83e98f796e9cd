"""What every resource of the API is."""

from typing import Any, ClassVar

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
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


class OneForm(BaseContentNegotiation):
    """For a resource whose answer has one form, whatever the client asks for."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """Take the one parser."""
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        """Take the one renderer."""
        return renderers[0], renderers[0].media_type
