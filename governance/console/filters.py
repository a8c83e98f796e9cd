"""Filters of lists, each served by an index or a bounded choice."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest

from governance.rest import queries


class Filter(SimpleListFilter):
    """A choice of the sidebar; ``narrow`` is called if one is made."""

    offered: ClassVar[list[tuple[str, str]]] = []

    def lookups(
        self, request: HttpRequest, model_admin: "ModelAdmin[Any]"
    ) -> list[tuple[str, str]]:
        return self.offered

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset if not value else self.narrow(request, queryset, value)

    def narrow(self, request: HttpRequest, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        """Return the rows of the chosen ``value``."""
        return rows.filter(**{str(self.parameter_name): value})


class TypedFilter(Filter):
    """A value typed into a form of the list's template, not into the sidebar."""

    template = "console/_nothing.html"

    def has_output(self) -> bool:
        # Django ignores the value of a filter that says no.
        return True

    def choices(self, changelist: Any) -> Any:
        return iter(())


def choice(field: str, values: Iterable[str], *, title: str | None = None) -> type[Filter]:
    """Return a filter on ``field`` that offers ``values``."""
    heading = title or field.replace("_", " ")

    class Choice(Filter):
        title = heading
        parameter_name = field
        offered = [(str(value), str(value).replace("_", " ")) for value in values]

    return Choice


def flag(
    parameter: str, heading: str, words: str, narrowed: Callable[[QuerySet[Any]], QuerySet[Any]]
) -> type[Filter]:
    """Return a filter that narrows the list, or not; ``words`` name the choice."""

    class Flag(Filter):
        title = heading
        parameter_name = parameter
        offered = [("yes", words)]

        def narrow(self, request: HttpRequest, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
            return narrowed(rows) if value == "yes" else rows

    return Flag


class NamespaceFilter(TypedFilter):
    """By the namespace in the address; the header's switcher sets it."""

    title = parameter_name = "namespace"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        path: str | None = model_admin.narrow_path
        self.path: str = model_admin.namespace_path if path is None else path
        super().__init__(request, params, model, model_admin)

    def narrow(self, request: HttpRequest, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        return rows.filter(**{self.path: value}) if self.path else rows


def typed(field: str, *, parameter: str | None = None, every: str = "") -> type[Filter]:
    """Return a filter on the whole value of ``field``; ``every`` filters nothing."""

    class Typed(TypedFilter):
        title = field.replace("_", " ")
        parameter_name = parameter or field

        def narrow(self, request: HttpRequest, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
            return rows if value == every else rows.filter(**{field: value})

    return Typed


def moment(
    parameter: str, narrowed: Callable[[QuerySet[Any], datetime], QuerySet[Any]]
) -> type[Filter]:
    """Return a filter by a time; without a zone it is UTC."""

    class Moment(TypedFilter):
        title = parameter
        parameter_name = parameter

        def narrow(self, request: HttpRequest, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
            try:
                return narrowed(rows, _parse(value))
            except ValueError as error:
                messages.error(request, f"{parameter}: {error}.")
                return rows.none()

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
