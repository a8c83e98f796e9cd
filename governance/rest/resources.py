"""Resources of the API: views whose methods declare themselves with ``@operation``.

The code and the API's document both follow these declarations, so they can't differ.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any, ClassVar, TypeVar

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
from governance.rest.fields import Fields
from governance.rest.queries import Reader
from governance.rest.schemas import Schema

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ATTRIBUTE = "operation"
Method = TypeVar("Method", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Declaration:
    """What one method of a resource takes, answers and refuses. See ``operation``."""

    summary: str
    description: str
    #: The caller needs one of these.
    scopes: tuple[Scope, ...]
    #: The parameters, read into ``Resource.query``; any other is refused.
    query: Mapping[str, Reader]
    #: The schema that ``Resource.body`` checks; without it no body is read.
    body: Mapping[str, Any] | None
    #: Instead of ``body``: what the method reads by itself, by media type.
    uploads: Mapping[str, Schema]
    headers: Mapping[str, Schema]
    answers: Mapping[int, Schema]
    #: The domain's errors; those that every operation has are added.
    refusals: tuple[type[OrbitError], ...]


def operation(
    *,
    summary: str,
    answers: Mapping[int, Fields | Schema],
    scope: Scope | tuple[Scope, ...] = Scope.READ,
    query: Mapping[str, Reader] | None = None,
    body: Mapping[str, Any] | None = None,
    uploads: Mapping[str, Schema] | None = None,
    headers: Mapping[str, Schema] | None = None,
    refusals: tuple[type[OrbitError], ...] = (),
) -> Callable[[Method], Method]:
    """Declare a method of a Resource; its docstring is the API's description.

    Of several scopes one is enough.
    """

    def declare(method: Method) -> Method:
        if not method.__doc__:
            raise TypeError(f"{method.__qualname__} needs a docstring: it is the description")
        method.__dict__[_ATTRIBUTE] = Declaration(
            summary=summary,
            description=method.__doc__,
            scopes=scope if isinstance(scope, tuple) else (scope,),
            query=query or {},
            body=body,
            uploads=uploads or {},
            headers=headers or {},
            answers={
                status: answer.schema if isinstance(answer, Fields) else answer
                for status, answer in answers.items()
            },
            refusals=refusals,
        )
        return method

    return declare


class Resource(APIView):
    """A resource: each of its methods has an ``@operation``, and HEAD is GET."""

    # No OPTIONS: the API's document says what there is.
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]

    #: The declaration of each method, by its name such as ``GET``.
    operations: ClassVar[Mapping[str, Declaration]] = {}
    #: The query parameters, read.
    query: dict[str, Any]
    #: What is left of the caller's requests in this minute; None until they are counted.
    rate_status: rates.RateStatus | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Collect the declarations. Raises TypeError for a method without one."""
        super().__init_subclass__(**kwargs)
        cls.operations = {
            name: _declaration(cls, name) for name in METHODS if hasattr(cls, name.lower())
        }

    @property
    def actor(self) -> Actor:
        """The caller, with the scopes and namespaces of their token or session."""
        actor: Any = self.request.auth
        assert isinstance(actor, Actor)  # noqa: S101 - HasScope refuses everybody else
        return actor

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate, check the scope, then read the query."""
        super().initial(request, *args, **kwargs)
        if any(isinstance(part, str) and "\x00" in part for part in kwargs.values()):
            raise Http404  # no column can hold it
        declared = self.declaration
        self.query = {} if declared is None else queries.read(request, declared.query)

    @property
    def declaration(self) -> Declaration | None:
        """The declaration of this request's method, or None if it doesn't exist."""
        return self.operations.get(named(self.request.method))

    def perform_authentication(self, request: Request) -> None:
        """Authenticate and count the request. Raises also TooMany."""
        try:
            super().perform_authentication(request)
        except exceptions.APIException:
            # A wrong token counts too: guessing must hit the limit.
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
        """Add the RateLimit headers."""
        if self.rate_status is not None:
            self.headers.update(self.rate_status.headers)
        return super().finalize_response(request, response, *args, **kwargs)

    def body(self) -> dict[str, Any]:
        """Return the checked body. Raises what ``parsing.document`` does."""
        declared = self.declaration
        assert declared is not None  # noqa: S101 - a method without a declaration never runs
        assert declared.body is not None, "declare the body in @operation"  # noqa: S101
        return parsing.document(self.request, declared.body)


def named(method: str | None) -> str:
    """Return the name under which a request's method is declared: HEAD is GET."""
    return "GET" if method == "HEAD" else str(method)


def _declaration(resource: type[Resource], name: str) -> Declaration:
    method = getattr(resource, name.lower())
    where = f"{resource.__module__}.{resource.__qualname__}.{name.lower()}"
    declared = vars(method).get(_ATTRIBUTE) if isinstance(method, FunctionType) else None
    if not isinstance(declared, Declaration):
        raise TypeError(f"{where} has no @operation")
    if name != "GET" and resource.permission_classes and Scope.READ in declared.scopes:
        raise TypeError(f"{where} may change something: name its scope")
    return declared


class OneForm(BaseContentNegotiation):
    """Negotiation for a resource whose answer has only one form."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """Return the only parser."""
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> Any:
        """Return the only renderer."""
        return renderers[0], renderers[0].media_type
