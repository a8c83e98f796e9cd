"""Every address of the API declares what it takes, answers and refuses, and goes by what it declares."""

import inspect

import pytest
from django.urls import get_resolver

from governance.rest import openapi
from governance.rest.resources import Resource

#: What answers and is no resource, with the reason.
OTHERS = {
    "": "leads to the console",
    "health": "must answer without the database",
    "ready": "must answer without the database",
    "api/docs": "a page for people",
}
ROUTES = [
    (route, pattern)
    for route, pattern in openapi.walk(get_resolver().url_patterns)
    if not route.startswith("admin/")
]
OPERATIONS = [
    pytest.param(resource, method, id=f"{method} /{route}")
    for route, pattern in ROUTES
    if (resource := openapi.resource_of(pattern)) is not None
    for method in openapi.methods_of(resource)
]


def test_everything_outside_of_the_console_is_a_resource_or_has_a_reason() -> None:
    assert sorted(
        route for route, pattern in ROUTES if openapi.resource_of(pattern) is None
    ) == sorted(OTHERS)


@pytest.mark.parametrize(("resource", "method"), OPERATIONS)
def test_an_operation_declares_what_it_does(resource: type[Resource], method: str) -> None:
    assert resource.answers.get(method), (
        f"say in `answers` what {method} of {resource.__module__}.{resource.__name__} answers"
    )
    assert method in resource.parameters, (
        "say in `parameters` what the address may hold; `{}` is nothing"
    )
    assert inspect.getdoc(getattr(resource, method.lower())), (
        "the method's docstring is the operation's description"
    )
    assert all(
        isinstance(reader.schema, dict) or reader.schema
        for reader in resource.parameters[method].values()
    )
    source = inspect.getsource(getattr(resource, method.lower()))
    assert "queries.read(" not in source, "use `self.sent`, read by the readers of `parameters`"
    assert "parsing.document(" not in source, (
        "use `self.document()`, which fits the schema of `bodies`"
    )
    if "self.document()" in source:
        assert method in resource.bodies


@pytest.mark.parametrize(("resource", "method"), OPERATIONS)
def test_what_changes_something_names_its_power(resource: type[Resource], method: str) -> None:
    assert method == "GET" or method in resource.scopes
