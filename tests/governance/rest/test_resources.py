"""Resources: what a method must declare, checked when the class is made."""

import pytest
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Scope
from governance.rest import schemas
from governance.rest.resources import Resource, operation


def test_a_method_without_an_operation_fails_when_the_class_is_made() -> None:
    with pytest.raises(TypeError, match=r"Silent\.get has no @operation"):

        class Silent(Resource):
            def get(self, request: Request) -> Response:
                """Declared nowhere."""
                return Response()


def test_an_override_without_an_operation_fails_too() -> None:
    class Thing(Resource):
        @operation(summary="Get a thing", answers={200: schemas.FREE})
        def get(self, request: Request) -> Response:
            """A thing."""
            return Response()

    with pytest.raises(TypeError, match=r"Other\.get has no @operation"):

        class Other(Thing):
            def get(self, request: Request) -> Response:
                """Another thing."""
                return Response()


def test_an_operation_needs_a_description() -> None:
    with pytest.raises(TypeError, match="docstring"):

        @operation(summary="Get a thing", answers={200: schemas.FREE})
        def get(self: Resource, request: Request) -> Response:
            return Response()


def test_a_method_that_may_change_something_names_its_scope() -> None:
    with pytest.raises(TypeError, match="name its scope"):

        class Poke(Resource):
            @operation(summary="Poke a thing", answers={200: schemas.FREE})
            def post(self, request: Request) -> Response:
                """Poke it."""
                return Response()


def test_a_resource_knows_its_operations_by_method() -> None:
    class Thing(Resource):
        @operation(summary="Get a thing", answers={200: schemas.FREE})
        def get(self, request: Request) -> Response:
            """A thing."""
            return Response()

        @operation(
            summary="Poke a thing", scope=Scope.OPERATE, body={}, answers={202: schemas.FREE}
        )
        def post(self, request: Request) -> Response:
            """Poke it."""
            return Response()

    assert list(Thing.operations) == ["GET", "POST"]
    assert Thing.operations["GET"].scopes == (Scope.READ,)
    assert Thing.operations["POST"].scopes == (Scope.OPERATE,)
    assert Resource.operations == {}
