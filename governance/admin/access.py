"""Users and roles, for administrators of the whole workspace."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth import admin as auth_admin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from governance import audit
from governance.access import users
from governance.access.roles import ROLES, Scope
from governance.audit.actions import Action
from governance.console.base import BoundedChangeList, BoundedPaginator, ReadOnlyAdmin, actor_of
from governance.models import NamespaceGrant

admin.site.unregister(User)
admin.site.unregister(Group)


def _administers(request: HttpRequest) -> bool:
    # Confined administrators can't manage users: they could create one who isn't confined.
    actor = actor_of(request)
    return actor.may(Scope.ADMINISTER) and actor.namespaces is None


def _superuser(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser


class _ForAdministrators(admin.options.BaseModelAdmin):  # type: ignore[type-arg]
    """Only administrators of the whole workspace may see and do anything."""

    def _may(self, request: HttpRequest, obj: Any = None) -> bool:
        return _administers(request)

    has_view_permission = has_add_permission = has_change_permission = _may
    has_module_permission = has_delete_permission = _may


class _Grants(_ForAdministrators, admin.StackedInline):  # type: ignore[type-arg]
    """The namespaces that the user sees."""

    model = NamespaceGrant
    extra = 1
    verbose_name = "namespace"
    verbose_name_plural = "sees these namespaces"


class _UserForm(UserChangeForm):  # type: ignore[type-arg]
    """A user, with whether they see the whole workspace."""

    whole_workspace = forms.BooleanField(
        label="Sees the whole workspace",
        help_text="Otherwise the user sees the namespaces below, and nothing if there are none.",
        required=False,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["whole_workspace"] = hasattr(self.instance, "workspace_grant")


@admin.register(User)
class UserAdmin(_ForAdministrators, auth_admin.UserAdmin):  # type: ignore[type-arg]
    """Users: created, changed, deactivated. Each change is audited."""

    list_display = ("username", "roles", "is_active", "is_superuser", "last_login")
    sortable_by = ()
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
        ("Personal data", {"fields": ("first_name", "last_name", "email")}),
        ("Permissions", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("Sees", {"fields": ("whole_workspace",)}),
    )
    form = _UserForm
    actions: Any = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[BoundedChangeList]:
        return BoundedChangeList

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Who sets a superuser's password can log in as one: only superusers change superusers.
        return _administers(request) and (
            _superuser(request) or not getattr(obj, "is_superuser", False)
        )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # A name on the audit trail must keep its meaning. Deactivate the user instead.
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # You can grant only permissions that you have.
        fixed = () if _superuser(request) else ("is_superuser",)
        return (*super().get_readonly_fields(request, obj), *fixed)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="sees the whole workspace", boolean=True)
    def whole_workspace(self, user: User) -> bool:
        return hasattr(user, "workspace_grant")

    @admin.display(description="roles")
    def roles(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all())

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "groups":
            kwargs["widget"] = forms.CheckboxSelectMultiple
            kwargs["queryset"] = Group.objects.filter(name__in=ROLES)
            return forms.ModelMultipleChoiceField(label="Roles", required=False, **kwargs)
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        # Other lookups would let a caller guess at columns that aren't shown, as the password's.
        return lookup == "is_active__exact"

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        with audit.transaction():
            return super().add_view(request, form_url, extra_context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        with audit.transaction():
            return super().change_view(request, object_id, form_url, extra_context)

    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        # This form doesn't ask for the current password. The id of 7 may be written as 07.
        user = self.get_object(request, unquote(id))
        if user == request.user and self.has_change_permission(request, user):
            return HttpResponseRedirect(reverse("admin:password_change"))
        with audit.transaction():
            return super().user_change_password(request, id, form_url)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.is_staff = True  # only staff can log in to the console
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        # A new user's first form doesn't ask: they see nothing until the second is sent.
        users.set_workspace(form.instance, bool(form.cleaned_data.get("whole_workspace")))

    def _record(self, request: HttpRequest, obj: User, message: Any) -> Any:
        audit.record(
            Action.USER_CHANGED,
            actor=actor_of(request).name,
            object_id=str(obj.pk),
            after={**users.find(obj.username).to_dict(), "changed": message},
        )

    log_addition = log_change = _record


@admin.register(Group)
class RoleAdmin(ReadOnlyAdmin):
    """The five roles. Their scopes are defined in code."""

    view_scope = Scope.ADMINISTER
    list_display = ("name", "scopes")
    fields = ("name", "scopes")
    ordering = ("name",)

    @admin.display(description="scopes")
    def scopes(self, group: Group) -> str:
        return ", ".join(sorted(ROLES.get(group.name, frozenset()))) or "none"
