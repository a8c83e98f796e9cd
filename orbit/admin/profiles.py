"""Profiles and run profiles, their revisions, and the files applied last."""

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
    def state_badge(self, row: Any) -> str:
        return display.badge("hidden" if row.hidden else row.state)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # A profile belongs to the workspace, so a confined user can't add one.
        actor = actor_of(request)
        return actor.may(Scope.CONFIGURE) and (self.kind is RUN_PROFILE or actor.namespaces is None)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        actor = actor_of(request)
        return actor.may(Scope.CONFIGURE) if obj is None else edit.may_edit(obj, actor=actor)

    def get_urls(self) -> list[URLPattern]:
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
        return editing.edit_page(
            request, self.kind, None, buttons=[], may=self.has_add_permission(request)
        )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        row = self._get_or_404(request, object_id)
        return editing.edit_page(
            request,
            self.kind,
            row,
            buttons=self.buttons(request, row),
            may=self.has_change_permission(request, row),
        )

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return revisions.list_page(request, self.kind, self._get_or_404(request, object_id))

    def revision_view(self, request: HttpRequest, object_id: str, number: int) -> HttpResponse:
        """Show one revision and the form to roll back to it."""
        return revisions.revision_page(
            request, self.kind, self._get_or_404(request, object_id), number
        )

    @reasoned_action(
        label="Enable",
        scope=Scope.CONFIGURE,
        explains="It runs again from the next trigger or tick on.",
        when=lambda row: row.state != ProfileState.ENABLED and not row.hidden,
    )
    def enable(self, request: HttpRequest, row: Any, reason: str) -> str:
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
        explains="It starts nothing from the next trigger or tick on. Running cycles go on with "
        "their snapshot.",
        when=lambda row: row.state == ProfileState.ENABLED and not row.hidden,
    )
    def disable(self, request: HttpRequest, row: Any, reason: str) -> str:
        edit.set_state(
            self.kind,
            str(row),
            ProfileState.DISABLED,
            actor=actor_of(request),
            source="admin",
            reason=reason,
        )
        return f"{row} disabled."

    def _get_or_404(self, request: HttpRequest, object_id: str) -> Any:
        row = self.get_object(request, object_id) if self.has_view_permission(request) else None
        if row is None:
            raise Http404
        return row


@admin.register(Profile)
class ProfileAdmin(_Configured):
    """Profiles: what cycles do."""

    kind = PROFILE
    namespace_path = "run_profiles__namespace"
    list_display = ("profile_id", "label", "state_badge", "revision", "updated_at")
    list_filter = (filters.choice("state", ProfileState),)
    search_fields = ("profile_id",)
    ordering = ("profile_id",)

    def get_queryset(self, request: HttpRequest) -> Any:
        # Not the base's filter: it would join, and show a profile once for each run profile.
        actor = actor_of(request)
        return (
            Profile.objects.order_by("profile_id")
            if actor.namespaces is None
            else visible.profiles(actor).order_by("profile_id")
        )


@admin.register(RunProfile)
class RunProfileAdmin(_Configured):
    """Run profiles: where and when profiles run."""

    kind = RUN_PROFILE
    namespace_path = "namespace"
    list_display = (
        "run_profile_id",
        "profile",
        "namespace_name",
        "state_badge",
        "revision",
        "updated_at",
        "why",
    )
    list_select_related = ("profile",)
    list_filter = (filters.choice("state", ProfileState),)
    search_fields = ("run_profile_id",)
    ordering = ("run_profile_id",)

    @admin.display(description="namespace")
    def namespace_name(self, row: RunProfile) -> str:
        # The key is the name: no need to read the namespace.
        return row.namespace_id

    @admin.display(description="did it run?")
    def why(self, row: RunProfile) -> SafeString:
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
    """Saved revisions of profiles."""

    list_display = ("profile", "number", "author", "source", "reason", "created_at")
    list_select_related = ("profile",)
    links = ("profile", "profile__id__exact")


@admin.register(RunProfileRevision)
class RunProfileRevisionAdmin(ReadOnlyAdmin):
    """Saved revisions of run profiles."""

    namespace_path = "document__namespace"
    list_display = ("run_profile", "number", "author", "source", "reason", "created_at")
    list_select_related = ("run_profile",)
    links = ("run_profile", "run_profile__id__exact")

    def get_queryset(self, request: HttpRequest) -> Any:
        # Without revisions of run profiles that were moved out of the user's namespaces.
        visible = actor_of(request).filter("run_profile__namespace")
        return super().get_queryset(request).filter(visible)


@admin.register(AppliedFiles)
class AppliedFilesAdmin(ReadOnlyAdmin):
    """The configuration files that were applied last."""

    list_display = ("sha256", "applied_at")
