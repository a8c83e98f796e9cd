"""The base of the console's tables: read-only, confined to the user's namespaces, bounded.

Permissions come from the user's roles. Django's own permissions are not used.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, ClassVar, NoReturn, cast
from urllib.parse import parse_qs

from django.contrib import admin, messages
from django.contrib.admin.views.main import ERROR_FLAG, ORDER_VAR, ChangeList
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import BinaryField, JSONField, Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.functional import cached_property
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from governance import display
from governance.access import actors
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.console import export
from governance.console.filters import NamespaceFilter
from governance.kernel.errors import Kind, OrbitError


class NotHere(Http404):
    """A 404 whose page shows this error's text."""


#: A list counts no further and says "10,000+": counting all would read the whole table.
COUNTED = 10_000
_SHORT_ID = 60


def actor_of(request: HttpRequest) -> Actor:
    """Return the logged-in user's actor, read once for each request."""
    actor: Actor | None = getattr(request, "console_actor", None)
    if actor is None:
        actor = actors.of_user(request.user)
        request.console_actor = actor  # type: ignore[attr-defined]
    return actor


def namespace_of(request: HttpRequest) -> str:
    """Return the namespace that the page is for, by its address; "" for all."""
    query = request.GET
    if "namespace" in query:
        return query["namespace"]
    # A page of an object, opened from a list: Django keeps the list's filters there.
    return parse_qs(query.get("_changelist_filters", "")).get("namespace", [""])[0]


def narrowed(request: HttpRequest) -> Actor:
    """Return the user's actor, confined to the namespace that the page is for, if any."""
    actor, namespace = actor_of(request), namespace_of(request)
    if not namespace:
        return actor
    return replace(actor, namespaces=frozenset({namespace} if actor.sees(namespace) else ()))


def suggest_halt(request: HttpRequest, namespace: str) -> None:
    """Fill in ``namespace`` if the user opens Halt on this page."""
    request.object_namespace = namespace  # type: ignore[attr-defined]


def draw(
    request: HttpRequest, template: str, *, title: str, status: int = 200, **context: Any
) -> TemplateResponse:
    """Render ``template`` in the console's frame."""
    frame = {**admin.site.each_context(request), "title": title}
    return TemplateResponse(request, template, frame | context, status=status)


def shows_list(request: HttpRequest) -> bool:
    """Return whether the page is a table's list, not a page of one of its rows."""
    at = request.resolver_match
    return at is not None and str(at.url_name).endswith("_changelist")


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts up to ``COUNTED``."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return len(rows[:COUNTED]) if isinstance(rows, list) else int(rows[:COUNTED].count())


class BoundedChangeList(ChangeList):
    """Keeps the list's own order: no other has an index."""

    @property
    def csv_link(self) -> str:
        """The address of the same rows as CSV; empty if the list isn't exported."""
        if not getattr(self.model_admin, "exported", ()):
            return ""
        return self.get_query_string({export.PARAMETER: "csv"})

    def get_filters_params(self, params: Any = None) -> Any:
        filters = super().get_filters_params(params)
        if getattr(self.model_admin, "namespace_path", None) is None:
            # The switcher keeps it in every address; this table is the whole workspace's.
            filters.pop("namespace", None)
        return filters

    def get_filters(self, request: HttpRequest) -> Any:
        *others, is_active = super().get_filters(request)
        # The namespace is the header's, and stays when filters are cleared.
        return *others, is_active and bool(self.get_filters_params().keys() - {"namespace"})

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        self.params.pop(ORDER_VAR, None)
        return list(super().get_ordering(request, queryset))


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A table to look at."""

    #: The lookup of a row's namespace. A table without one concerns the whole workspace:
    #: users who are confined to namespaces don't see it.
    namespace_path: ClassVar[str | None] = None
    #: The lookup of the namespace in the address, if it is another one; "" if the rows of
    #: ``get_queryset`` are those of ``narrowed(request)`` already.
    narrow_path: ClassVar[str | None] = None
    view_scope: ClassVar[Scope] = Scope.READ
    #: Lookups that addresses may use beside the filters.
    links: ClassVar[tuple[str, ...]] = ()
    hidden: ClassVar[tuple[str, ...]] = ()
    #: The heading of the list; without one the plural of its rows.
    list_title: ClassVar[str] = ""
    #: Further pages: "verify" -> its route below the list's. ``verify_view`` shows it, and its
    #: name for ``reverse`` ends with "_verify".
    own_pages: ClassVar[dict[str, str]] = {}
    #: States among the columns: "status" gives a column "status_badge".
    badges: ClassVar[tuple[str, ...]] = ()
    #: Columns of the list's download as CSV; without any there is none.
    exported: ClassVar[tuple[str, ...]] = ()
    #: How the list is read, such as in pages by key.
    change_list: ClassVar[type[ChangeList]] = BoundedChangeList

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
        for name in self._json_fields:
            setattr(self, f"{name}_shown", _column(name, display.json_block))
        for name in self.badges:
            setattr(self, f"{name}_badge", _column(name, display.badge))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if ERROR_FLAG in request.GET:
            # Django comes here from an address that it couldn't read, without a word.
            messages.warning(request, "That page of the list doesn't exist: this is all of it.")
        if self.exported and request.GET.get(export.PARAMETER) == "csv":
            return cast(HttpResponse, export.respond(self, request))
        context = {"title": self.heading, **self.list_context(request), **(extra_context or {})}
        return super().changelist_view(request, context)

    @property
    def heading(self) -> str:
        """The list's heading, also in breadcrumbs."""
        return self.list_title or capfirst(str(self.opts.verbose_name_plural))

    def title_of(self, row: Any) -> str:
        """Return the heading of ``row``'s page."""
        return capfirst(str(self.opts.verbose_name))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row = context["original"]
        context |= {
            "title": self.title_of(row),
            "heading": self.heading,
            "buttons": self.buttons(request, row),
            **self.object_context(request, row),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def object_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """Return what the template of ``obj`` shows beside its fields."""
        return {}

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return what the list's template shows beside the list."""
        return {}

    def get_urls(self) -> list[URLPattern]:
        pages = [
            self.url_of(name, route, getattr(self, f"{name}_view"))
            for name, route in self.own_pages.items()
        ]
        return [*pages, *super().get_urls()]

    def url_of(self, name: str, route: str, view: Callable[..., Any]) -> URLPattern:
        """Return the address of a page of the table, behind the log-in."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_{name}"
        return path(route, self.admin_site.admin_view(view), name=name)

    def buttons(self, request: HttpRequest, obj: Any) -> list[dict[str, str]]:
        """Return label and address of what the user can do with ``obj``."""
        return []

    def get_or_404(self, request: HttpRequest, object_id: str) -> Any:
        """Return an object that the user sees. Raises Http404."""
        row = self.get_object(request, object_id) if self.has_view_permission(request) else None
        if row is None:
            raise Http404
        return row

    def _get_obj_does_not_exist_redirect(self, *_: Any) -> NoReturn:
        raise Http404  # Django redirects to the dashboard, as if all were well.

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return self.change_list

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changes = super().get_changelist_instance(request)
        changes.result_list = self.listed(request, changes.result_list)
        return changes

    def listed(self, request: HttpRequest, rows: Any) -> Any:
        """Return the rows of a page of the list with what the list shows beside their columns."""
        return rows

    def get_list_filter(self, request: HttpRequest) -> Any:
        filters = super().get_list_filter(request)
        # By the switcher in the header.
        has_one = any(getattr(each, "parameter_name", "") == "namespace" for each in filters)
        return filters if self.namespace_path is None or has_one else (NamespaceFilter, *filters)

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        obj = super().get_object(request, object_id, from_field)
        if obj is not None and self.namespace_path is not None:
            suggest_halt(request, _loaded(obj, self.namespace_path))
        return obj

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        actor = actor_of(request)
        sees_table = self.namespace_path is not None or actor.namespaces is None
        return actor.may(self.view_scope) and sees_table

    def _never(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    has_add_permission = has_change_permission = has_delete_permission = _never

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # Bodies can be large, and no list or page shows them.
        binary = [
            field.name for field in self.opts.concrete_fields if isinstance(field, BinaryField)
        ]
        rows = super().get_queryset(request).defer(*binary)
        if self.namespace_path is None:
            return rows
        return rows.filter(actor_of(request).filter(self.namespace_path))

    @property
    def _json_fields(self) -> list[str]:
        return [field.name for field in self.opts.concrete_fields if isinstance(field, JSONField)]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if self.fields:
            return self.fields
        names = [
            field.name
            for field in self.opts.concrete_fields
            if not isinstance(field, BinaryField) and field.name not in self.hidden
        ]
        return [f"{name}_shown" if name in self._json_fields else name for name in names] + list(
            self.readonly_fields
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.get_fields(request, obj)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        # Any other lookup would let a user guess at columns that aren't shown.
        return lookup in {"namespace", *self.links} or any(
            lookup == getattr(offered, "parameter_name", None) for offered in self.list_filter
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        # Whole values only: a search for a part would read the whole table.
        term = search_term.strip()
        if not term:
            return queryset, False
        return queryset.filter(self._search(self.get_search_fields(request), term)), False

    def _search(self, fields: Iterable[str], term: str) -> Q:
        condition = Q(pk__in=[])
        for name in fields:
            try:
                value = self.opts.get_field(name).to_python(term)  # type: ignore[union-attr]
            except ValidationError:  # the column can't hold such a value
                continue
            condition |= Q(**{name: value})
        return condition


def _loaded(obj: Any, lookup: str) -> str:
    """Return the value of ``lookup`` if it takes no query, else ""."""
    *relations, name = lookup.split("__")
    for relation in relations:
        if relation not in obj._state.fields_cache:
            return ""
        obj = getattr(obj, relation)
    # A foreign key to a namespace holds its name.
    return str(obj.__dict__.get(name) or obj.__dict__.get(f"{name}_id") or "")


class PageAdmin(ReadOnlyAdmin):
    """A table whose objects have pages of their own."""

    page_template: ClassVar[str]
    #: Shows what ``read`` returned.
    page: Callable[[HttpRequest, Any], HttpResponse]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise Http404
        try:
            row = self.read(request, object_id)
        except OrbitError as error:
            if error.kind != Kind.MISSING:
                raise
            raise self._not_here(error.detail) from None
        return self.page(request, row)

    def read(self, request: HttpRequest, object_id: str) -> Any:
        """Return what ``page`` shows. Raises Http404, or a refusal of the kind "missing"."""
        return self.get_or_404(request, object_id)

    def draw(self, request: HttpRequest, row: Any, **context: Any) -> HttpResponse:
        """Draw the page of ``row`` with its buttons."""
        frame = {"title": self.title_of(row), "buttons": self.buttons(request, row)}
        return draw(request, self.page_template, **{**frame, "opts": self.opts, **context})

    def key(self, object_id: str) -> Any:
        """Return the key in an address. Raises NotHere."""
        try:
            return self.opts.pk.to_python(object_id)
        except ValidationError:
            detail = f"{object_id[:_SHORT_ID]} is not the id of a {self.opts.verbose_name}."
            raise self._not_here(detail) from None

    def _not_here(self, detail: str) -> NotHere:
        return NotHere(f"{detail} Look for it in the list of {self.heading.lower()}.")


def _column(name: str, show: Callable[[Any], SafeString]) -> Callable[[Model], SafeString]:
    def column(obj: Model) -> SafeString:
        return show(getattr(obj, name))

    column.short_description = name.replace("_", " ")  # type: ignore[attr-defined]
    return column
