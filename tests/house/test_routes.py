"""Every route declares what it takes, answers and refuses."""

import inspect

import pytest
from django.urls import get_resolver

from governance.rest import openapi
from governance.rest.resources import Resource

#: Routes that are no resource, each with the reason.
OTHERS = {
    "": "leads to the console",
    "health": "must answer without the database",
    "ready": "must answer without the database",
    "api/docs": "a page for people",
    "api/docs/plain": "a page for people",
    "api/docs/guide": "a page for people",
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
    for method in resource.operations
]


def test_everything_outside_of_the_console_is_a_resource_or_has_a_reason() -> None:
    others = [route for route, pattern in ROUTES if openapi.resource_of(pattern) is None]
    assert sorted(others) == sorted(OTHERS)


@pytest.mark.parametrize(("resource", "method"), OPERATIONS)
def test_a_method_reads_only_what_it_declares(resource: type[Resource], method: str) -> None:
    declared = resource.operations[method]
    source = inspect.getsource(getattr(resource, method.lower()))
    assert "queries.read(" not in source, "use `self.query`"
    assert "parsing.document(" not in source, "use `self.body()`"
    if "self.body()" in source:
        assert declared.body is not None


@pytest.mark.parametrize(("resource", "method"), OPERATIONS)
def test_a_summary_is_a_short_title(resource: type[Resource], method: str) -> None:
    summary = resource.operations[method].summary
    assert summary[:1].isupper()
    assert not summary.endswith(".")
    assert len(summary) <= 50


def test_the_views_have_names_of_their_own() -> None:
    views = {resource for resource, _ in (parameter.values for parameter in OPERATIONS)}
    assert len({view.__name__ for view in views}) == len(views)
