"""The base of the console's pages: read-only, confined to the person's namespaces, bounded.

What a person may comes from their roles alone; Django's own permissions are not asked.
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import BinaryField, JSONField, Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.safestring import SafeString

from governance.access import actors
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.console import display

#: Beyond this a list says "10,000+": counting on would read the whole table.
COUNTED = 10_000


def actor_of(request: HttpRequest) -> Actor:
    """Return who is logged in, read once for each request."""
    known: Actor | None = getattr(request, "console_actor", None)
    if known is None:
        known = actors.of_user(request.user)
        request.console_actor = known  # type: ignore[attr-defined]
    return known


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than ``COUNTED``."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, ``COUNTED`` at most."""
        rows: Any = self.object_list
        return len(rows[:COUNTED]) if isinstance(rows, list) else int(rows[:COUNTED].count())


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A table that people look at.

    ``namespace_path`` is the lookup that names a row's namespace; a table without one concerns the whole workspace, and who is confined
    to some namespaces doesn't see it. ``links`` are the lookups that addresses may use beside the filters.
    """

    namespace_path: ClassVar[str | None] = None
    view_scope: ClassVar[Scope] = Scope.READ
    links: ClassVar[tuple[str, ...]] = ()
    hidden: ClassVar[tuple[str, ...]] = ()

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 0
    sortable_by: ClassVar[Any] = ()
    actions: Any = ()
    view_on_site = False

    def __init__(self, model: type[Model], admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        for name in self._json:
            setattr(self, f"{name}_shown", _laid_out(name))

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Show the app to whoever sees one of its tables."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Ask the person's powers; a table of the whole workspace is not for the confined."""
        actor = actor_of(request)
        return actor.may(self.view_scope) and (
            self.namespace_path is not None or actor.namespaces is None
        )

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never here."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows that the person sees; binary columns stay in the database."""
        rows = super().get_queryset(request).defer(*self._binary)
        return (
            rows
            if self.namespace_path is None
            else rows.filter(actor_of(request).filter(self.namespace_path))
        )

    @property
    def _binary(self) -> list[str]:
        return [field.name for field in self.opts.concrete_fields if isinstance(field, BinaryField)]

    @property
    def _json(self) -> list[str]:
        return [field.name for field in self.opts.concrete_fields if isinstance(field, JSONField)]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show every column but the binary and the hidden ones, unless the class names its own."""
        if self.fields:
            return self.fields
        shown = [
            f.name
            for f in self.opts.concrete_fields
            if not isinstance(f, BinaryField) and f.name not in self.hidden
        ]
        return [f"{name}_shown" if name in self._json else name for name in shown] + list(
            self.readonly_fields
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Nothing is edited here."""
        return self.get_fields(request, obj)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow the filters and the declared links alone: any other lookup would let one guess at columns that aren't shown."""
        return lookup in self.links or any(
            lookup == getattr(offered, "parameter_name", None) for offered in self.list_filter
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find whole values of ``search_fields``; what can't be a value of a column finds nothing in it."""
        term = search_term.strip()
        if not term:
            return queryset, False
        return queryset.filter(self._search(self.get_search_fields(request), term)), False

    def _search(self, fields: Iterable[str], term: str) -> Q:
        found = Q(pk__in=[])
        for name in fields:
            try:
                value = self.opts.get_field(name).to_python(term)  # type: ignore[union-attr]
            except ValidationError:
                continue
            found |= Q(**{name: value})
        return found


def _laid_out(name: str) -> Callable[[Model], SafeString]:
    """Return the column ``name``, JSON, as a page shows it: on lines, and never as markup."""

    def shown(obj: Model) -> SafeString:
        return display.json_block(getattr(obj, name))

    shown.short_description = name.replace("_", " ")  # type: ignore[attr-defined]
    return shown
