"""Profiles and run profiles with their revisions, and what was applied last."""

from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from governance.access.roles import Scope
from governance.console import display, filters
from governance.console.actions import ReasonedAdmin, reasoned_action
from governance.console.base import ReadOnlyAdmin, actor_of
from orbit.admin import editing, revisions
from orbit.models import AppliedFiles, Profile, ProfileRevision, RunProfile, RunProfileRevision
from orbit.profiles import edit, visible
from orbit.profiles.kinds import PROFILE, RUN_PROFILE, AnyKind
from orbit.states import ProfileState


class _Configured(ReasonedAdmin):
    kind: ClassVar[AnyKind]
    ordering = ("id",)

    @admin.display(description="state")
    def state_shown(self, row: Any) -> str:
        """The state as a badge."""
        return display.badge("hidden" if row.hidden else row.state)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who configures makes new ones; a profile is the whole workspace's."""
        actor = actor_of(request)
        return actor.may(Scope.CONFIGURE) and (self.kind is RUN_PROFILE or actor.namespaces is None)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who configures edits them, each where they see all of the namespaces that it runs in."""
        actor = actor_of(request)
        return actor.may(Scope.CONFIGURE) if obj is None else edit.may_edit(obj, actor=actor)

    def get_urls(self) -> list[URLPattern]:
        """Add the page of one revision."""
        name = f"orbit_{self.opts.model_name}_revision"
        return [
            path(
                "<path:object_id>/history/<int:number>/",
                self.admin_site.admin_view(self.revision_view),
                name=name,
            ),
            *super().get_urls(),
        ]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Make one."""
        return editing.page(
            request, self.kind, None, buttons=[], may=self.has_add_permission(request)
        )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show one, to be edited by who may."""
        row = self._found(request, object_id)
        return editing.page(
            request,
            self.kind,
            row,
            buttons=self.buttons(request, row),
            may=self.has_change_permission(request, row),
        )

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show who saved what."""
        return revisions.listing(request, self.kind, self._found(request, object_id))

    def revision_view(self, request: HttpRequest, object_id: str, number: int) -> HttpResponse:
        """Show one revision, and the way back to it."""
        return revisions.one(request, self.kind, self._found(request, object_id), number)

    @reasoned_action(
        label="Enable",
        scope=Scope.CONFIGURE,
        explains="From the next trigger or tick on it runs again.",
        when=lambda row: row.state != ProfileState.ENABLED and not row.hidden,
    )
    def enable(self, request: HttpRequest, row: Any, reason: str) -> str:
        """Switch it on."""
        edit.set_state(
            self.kind,
            str(row),
            ProfileState.ENABLED,
            actor=actor_of(request),
            source="admin",
            reason=reason,
        )
        return f"{row} enabled."

    @reasoned_action(
        label="Disable",
        scope=Scope.CONFIGURE,
        explains="From the next trigger or tick on it starts nothing. What runs goes on: it has its snapshot.",
        when=lambda row: row.state == ProfileState.ENABLED and not row.hidden,
    )
    def disable(self, request: HttpRequest, row: Any, reason: str) -> str:
        """Switch it off."""
        edit.set_state(
            self.kind,
            str(row),
            ProfileState.DISABLED,
            actor=actor_of(request),
            source="admin",
            reason=reason,
        )
        return f"{row} disabled."

    def _found(self, request: HttpRequest, object_id: str) -> Any:
        row = self.get_object(request, object_id) if self.has_view_permission(request) else None
        if row is None:
            raise Http404
        return row


@admin.register(Profile)
class ProfileAdmin(_Configured):
    """What cycles do."""

    kind = PROFILE
    namespace_path = "run_profiles__namespace"
    list_display = ("profile_id", "label", "state_shown", "revision", "updated_at")
    list_filter = (filters.choice("state", ProfileState),)
    search_fields = ("profile_id",)
    ordering = ("profile_id",)

    def get_queryset(self, request: HttpRequest) -> Any:
        """Return the profiles that the person sees, each once; hidden ones too for who sees all."""
        actor = actor_of(request)
        return (
            Profile.objects.order_by("profile_id")
            if actor.namespaces is None
            else visible.profiles(actor).order_by("profile_id")
        )


@admin.register(RunProfile)
class RunProfileAdmin(_Configured):
    """Where and when profiles run."""

    kind = RUN_PROFILE
    namespace_path = "namespace"
    list_display = (
        "run_profile_id",
        "profile",
        "where",
        "state_shown",
        "revision",
        "updated_at",
        "why",
    )
    list_select_related = ("profile",)
    list_filter = (filters.NamespaceFilter, filters.choice("state", ProfileState))
    search_fields = ("run_profile_id",)
    ordering = ("run_profile_id",)

    @admin.display(description="namespace")
    def where(self, row: RunProfile) -> str:
        """The namespace's name."""
        return row.namespace_id

    @admin.display(description="did it run?")
    def why(self, row: RunProfile) -> SafeString:
        """The way to the page that says why it ran or didn't."""
        address = (
            f"{reverse('admin:orbit_why')}?{urlencode({'run_profile_id': row.run_profile_id})}"
        )
        return format_html(
            '<a href="{}">Why?<span class="visually-hidden"> {}</span></a>',
            address,
            row.run_profile_id,
        )


@admin.register(ProfileRevision)
class ProfileRevisionAdmin(ReadOnlyAdmin):
    """Profiles as they were saved."""

    list_display = ("profile", "number", "author", "source", "reason", "created_at")
    list_select_related = ("profile",)
    links = ("profile", "profile__id__exact")


@admin.register(RunProfileRevision)
class RunProfileRevisionAdmin(ReadOnlyAdmin):
    """Run profiles as they were saved, from when they ran where the person sees something."""

    namespace_path = "document__namespace"
    list_display = ("run_profile", "number", "author", "source", "reason", "created_at")
    list_select_related = ("run_profile",)
    links = ("run_profile", "run_profile__id__exact")

    def get_queryset(self, request: HttpRequest) -> Any:
        """Leave out those of run profiles that have left the person's namespaces."""
        return (
            super().get_queryset(request).filter(actor_of(request).filter("run_profile__namespace"))
        )


@admin.register(AppliedFiles)
class AppliedFilesAdmin(ReadOnlyAdmin):
    """The configuration's files as they were last applied."""

    list_display = ("sha256", "applied_at")
