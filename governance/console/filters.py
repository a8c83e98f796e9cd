"""Filters of lists, each on a column that an index or a bounded choice serves."""

from collections.abc import Iterable
from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest

from governance.console.base import actor_of
from governance.models import Namespace

_NAMESPACES = 200


class NamespaceFilter(SimpleListFilter):
    """By namespace, of those that the person sees."""

    title, parameter_name = "namespace", "namespace"

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Any]") -> list[tuple[str, str]]:
        """Return the first ones by name; another one may be named in the address."""
        self.path: str = getattr(model_admin, "namespace_path", None) or "namespace"
        names = Namespace.objects.filter(actor_of(request).filter("name")).order_by("name").values_list("name", flat=True)[:_NAMESPACES]
        return [(name, name) for name in names]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow the list."""
        return queryset if self.value() is None else queryset.filter(**{self.path: self.value()})


def choice(field: str, values: Iterable[str], *, title: str | None = None) -> type[SimpleListFilter]:
    """Return a filter on ``field`` that offers ``values``."""
    offered = [(str(value), str(value).replace("_", " ")) for value in values]
    heading = title or field.replace("_", " ")

    class Choice(SimpleListFilter):
        title = heading
        parameter_name = field

        def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Any]") -> list[tuple[str, str]]:
            return offered

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            return queryset if self.value() is None else queryset.filter(**{field: self.value()})

    return Choice
