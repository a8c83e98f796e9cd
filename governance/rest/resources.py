"""What every resource of the API is: its methods, and for each of them what it needs, takes, answers and refuses.

The declarations are what the code itself goes by, and the API's document is made from them, so the two can't differ.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import Http404
from rest_framework import exceptions
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.kernel.errors import OrbitError
from governance.rest import parsing, queries, rates
from governance.rest.queries import Reader
from governance.rest.schemas import Schema


class Resource(APIView):
    """A resource. Each declaration is by method; what it declares to take and nothing else is taken.

    ``powers``: what the caller needs (``read`` where none is named). ``parameters``: what the address may say, read into ``self.sent``
    before the method runs. ``bodies``: the schema of the body, which ``self.document()`` reads. ``request_headers``: what is read of the
    head. ``answers``: the schema of each good status. ``refusals``: the errors of the domain; those of every resource are known.

    Answers nothing to OPTIONS: what there is stands in the API's document.
    """

    scopes: ClassVar[dict[str, Scope]] = {}
    parameters: ClassVar[dict[str, Mapping[str, Reader]]] = {}
    bodies: ClassVar[dict[str, dict[str, Any]]] = {}
    request_headers: ClassVar[dict[str, Mapping[str, Schema]]] = {}
    answers: ClassVar[dict[str, dict[int, Schema]]] = {}
    refusals: ClassVar[dict[str, tuple[type[OrbitError], ...]]] = {}
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]

    #: The parameters that were sent, read.
    sent: dict[str, Any]
    #: What the caller has left in this minute; None until that is known.
    rate_status: rates.RateStatus | None = None

    @property
    def actor(self) -> Actor:
        """Who calls, as a token's or a session's power and namespaces allow."""
        actor: Any = self.request.auth
        assert isinstance(actor, Actor)  # noqa: S101 - HasScope lets nobody else in
        return actor

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Find out who calls and whether they may; then read the parameters. Raises what authentication does, Http404 and ParameterInvalid."""
        super().initial(request, *args, **kwargs)
        if any(isinstance(part, str) and "\x00" in part for part in kwargs.values()):
            raise Http404  # no column can hold it
        method = declared(request.method)
        self.sent = (
            queries.read(request, self.parameters[method]) if method in self.parameters else {}
        )

    def perform_authentication(self, request: Request) -> None:
        """Find out who calls, and count the request, also one whose token isn't good. Raises AuthenticationFailed, PermissionDenied and TooMany."""
        try:
            super().perform_authentication(request)
        except exceptions.APIException:
            self._count(request)
            raise
        self._count(request)

    def _count(self, request: Request) -> None:
        try:
            self.rate_status = rates.count(rates.caller(request))
        except rates.TooMany as error:
            self.rate_status = error.rate_status
            raise

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Tell the caller what is left of the minute."""
        if self.rate_status is not None:
            self.headers.update(self.rate_status.headers)
        return super().finalize_response(request, response, *args, **kwargs)

    def document(self) -> dict[str, Any]:
        """Return the body, which fits the schema that is declared for the method. Raises what ``parsing.document`` does."""
        return parsing.document(self.request, self.bodies[declared(self.request.method)])


def declared(method: str | None) -> str:
    """Return the method under which a request's declarations stand: a HEAD is a GET."""
    return "GET" if method == "HEAD" else str(method)


class OneForm(BaseContentNegotiation):
    """For a resource whose answer has one form, whatever the client asks for."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """Take the one parser."""
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> Any:
        """Take the one renderer."""
        return renderers[0], renderers[0].media_type
