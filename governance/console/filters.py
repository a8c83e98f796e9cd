"""Filters of lists, each served by an index or a bounded choice."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest

from governance.rest import queries


def choice(
    field: str, values: Iterable[str], *, title: str | None = None
) -> type[SimpleListFilter]:
    """Return a filter on ``field`` that offers ``values``."""
    offered = [(str(value), str(value).replace("_", " ")) for value in values]
    heading = title or field.replace("_", " ")

    class Choice(SimpleListFilter):
        title = heading
        parameter_name = field

        def lookups(
            self, request: HttpRequest, model_admin: "ModelAdmin[Any]"
        ) -> list[tuple[str, str]]:
            return offered

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            return queryset if self.value() is None else queryset.filter(**{field: self.value()})

    return Choice


def flag(
    parameter: str, heading: str, words: str, narrow: Callable[[QuerySet[Any]], QuerySet[Any]]
) -> type[SimpleListFilter]:
    """Return a filter that narrows the list, or not; ``words`` name the choice."""

    class Flag(SimpleListFilter):
        title = heading
        parameter_name = parameter

        def lookups(
            self, request: HttpRequest, model_admin: "ModelAdmin[Any]"
        ) -> list[tuple[str, str]]:
            return [("yes", words)]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            return narrow(queryset) if self.value() == "yes" else queryset

    return Flag


class TypedFilter(SimpleListFilter):
    """A value typed into a form of the list's template, not into the sidebar."""

    template = "console/_nothing.html"

    def lookups(
        self, request: HttpRequest, model_admin: "ModelAdmin[Any]"
    ) -> list[tuple[str, str]]:
        return []

    def has_output(self) -> bool:
        # Django ignores the value of a filter that says no.
        return True

    def choices(self, changelist: Any) -> Any:
        return iter(())


class NamespaceFilter(TypedFilter):
    """By the namespace in the address; the header's switcher sets it."""

    title = parameter_name = "namespace"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        path: str | None = model_admin.narrow_path
        self.path: str = model_admin.namespace_path if path is None else path
        super().__init__(request, params, model, model_admin)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        narrows = self.value() and self.path
        return queryset.filter(**{self.path: self.value()}) if narrows else queryset


def typed(field: str, *, parameter: str | None = None, every: str = "") -> type[SimpleListFilter]:
    """Return a filter on the whole value of ``field``; ``every`` filters nothing."""

    class Typed(TypedFilter):
        title = field.replace("_", " ")
        parameter_name = parameter or field

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            value = self.value()
            return queryset if not value or value == every else queryset.filter(**{field: value})

    return Typed


def moment(
    parameter: str, narrow: Callable[[QuerySet[Any], datetime], QuerySet[Any]]
) -> type[SimpleListFilter]:
    """Return a filter by a time; without a zone it is UTC."""

    class Moment(TypedFilter):
        title = parameter
        parameter_name = parameter

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            text = self.value()
            if not text:
                return queryset
            try:
                return narrow(queryset, _parse(text))
            except ValueError as error:
                messages.error(request, f"{parameter}: {error}.")
                return queryset.none()

    return Moment


def _parse(text: str) -> datetime:
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        local = None
    return (
        local.replace(tzinfo=UTC)
        if local is not None and local.tzinfo is None and "T" in text
        else queries.moment(text)
    )
