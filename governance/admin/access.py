"""People and roles, for administrators."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from governance import audit
from governance.access.roles import ROLES, Scope
from governance.audit.actions import Action
from governance.console.base import BoundedPaginator, ReadOnlyAdmin, actor_of
from governance.models import NamespaceGrant

admin.site.unregister(User)
admin.site.unregister(Group)


def _administers(request: HttpRequest) -> bool:
    """One who is confined to namespaces could make somebody who isn't: they administer nobody."""
    actor = actor_of(request)
    return actor.may(Scope.ADMINISTER) and actor.namespaces is None


def _superuser(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser


class _Grants(admin.StackedInline):  # type: ignore[type-arg]
    """The namespaces that the person is confined to; none: they see all."""

    model = NamespaceGrant
    extra = 1
    verbose_name = "namespace"
    verbose_name_plural = "confined to namespaces (none: sees all)"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _administers(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _administers(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _administers(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _administers(request)


@admin.register(User)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg]
    """People: made, changed, switched off, never deleted, each time on the audit trail."""

    list_display = ("username", "roles", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active",)
    search_fields = ("username",)
    ordering = ("username",)
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    paginator = BoundedPaginator
    inlines: ClassVar[Any] = [_Grants]
    filter_horizontal: ClassVar[Any] = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("May", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
    )
    actions: Any = ()

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Administrators only."""
        return _administers(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Administrators only."""
        return _administers(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Administrators only."""
        return _administers(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Administrators only; a superuser is changed by superusers, since whoever sets a password can be that person."""
        return _administers(request) and (
            _superuser(request) or not getattr(obj, "is_superuser", False)
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Nobody makes somebody what they aren't themselves."""
        return (
            *super().get_readonly_fields(request, obj),
            *(() if _superuser(request) else ("is_superuser",)),
        )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: a name on the audit trail stays somebody's. Switch the person off instead."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Bring the roles along."""
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="roles")
    def roles(self, person: User) -> str:
        """The names of the person's roles."""
        return ", ".join(group.name for group in person.groups.all())

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer roles as boxes to tick."""
        if db_field.name == "groups":
            kwargs["widget"] = forms.CheckboxSelectMultiple
            kwargs["queryset"] = Group.objects.filter(name__in=ROLES)
            return forms.ModelMultipleChoiceField(label="Roles", required=False, **kwargs)
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow the filters alone."""
        return lookup == "is_active__exact"

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Add a person; they may log in to the console from the start."""
        with audit.transaction():
            return super().add_view(request, form_url, extra_context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Change a person."""
        with audit.transaction():
            return super().change_view(request, object_id, form_url, extra_context)

    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        """Set another password."""
        with audit.transaction():
            return super().user_change_password(request, id, form_url)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save; a new person belongs to the staff, who alone get in here."""
        if not change:
            obj.is_staff = True
        super().save_model(request, obj, form, change)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Put it on the audit trail, which is the one log."""
        self._record(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Put it on the audit trail, which is the one log."""
        self._record(request, obj, message)

    def _record(self, request: HttpRequest, person: User, message: Any) -> None:
        after = {
            "username": person.username,
            "active": person.is_active,
            "superuser": person.is_superuser,
            "roles": sorted(person.groups.values_list("name", flat=True)),
            "namespaces": sorted(person.namespace_grants.values_list("namespace__name", flat=True))
            or None,
            "changed": message,
        }
        audit.record(
            Action.USER_CHANGED,
            actor=actor_of(request).name,
            object_id=str(person.pk),
            after=after,
        )


@admin.register(Group)
class RoleAdmin(ReadOnlyAdmin):
    """The five roles; what each may stands in code."""

    power_to_see = Scope.ADMINISTER
    list_display = ("name", "may")
    fields = ("name", "may")
    ordering = ("name",)

    @admin.display(description="may")
    def may(self, group: Group) -> str:
        """The role's powers."""
        return ", ".join(sorted(ROLES.get(group.name, frozenset()))) or "nothing"
