"""Profiles and run profiles, their revisions, and the files applied last."""

from datetime import datetime
from typing import Any, ClassVar, cast

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.console import filters
from governance.console.actions import ReasonedAdmin, reasoned_action
from governance.console.base import PageAdmin, ReadOnlyAdmin, actor_of, narrowed, shows_list
from orbit.admin import editing
from orbit.models import AppliedFiles, Profile, ProfileRevision, RunProfile, RunProfileRevision
from orbit.profiles import edit, visible
from orbit.profiles.kinds import PROFILE, RUN_PROFILE, AnyKind
from orbit.schedules import runs
from orbit.states import ProfileState


class _Configured(PageAdmin, ReasonedAdmin):
    kind: ClassVar[AnyKind]
    own_pages = {"revision": "<path:object_id>/history/<int:number>/"}

    @admin.display(description="state")
    def state_switch(self, row: Any) -> SafeString:
        return render_to_string("console/profile/state.html", {"row": row})

    @admin.display(description="last outcome")
    def last_outcome(self, row: Any) -> SafeString:
        return render_to_string("console/profile/outcome.html", {"row": row})

    @admin.display(description="next run")
    def next_run(self, row: Any) -> datetime | None:
        return cast(datetime | None, row.runs.next_due_at)

    def listed(self, request: HttpRequest, rows: Any) -> list[Any]:
        # All rows of the page at once: a read for each would be 50.
        listed = list(rows)
        by_name = runs.runs(self.kind, map(str, listed), actor=actor_of(request))
        for row in listed:
            row.runs = by_name.get(str(row), runs.Runs())
            row.buttons = self.buttons(request, row)
        return listed

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # A profile belongs to the workspace, so a confined user can't add one.
        actor = actor_of(request)
        return actor.may(Scope.CONFIGURE) and (self.kind is RUN_PROFILE or actor.namespaces is None)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        actor = actor_of(request)
        return actor.may(Scope.CONFIGURE) if obj is None else edit.may_edit(obj, actor=actor)

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        may = self.has_add_permission(request)
        return editing.edit_page(request, self.kind, None, buttons=[], may=may)

    def page(self, request: HttpRequest, row: Any) -> HttpResponse:
        buttons, may = self.buttons(request, row), self.has_change_permission(request, row)
        return editing.edit_page(request, self.kind, row, buttons=buttons, may=may)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        return editing.list_page(request, self.kind, self.get_or_404(request, object_id))

    def revision_view(self, request: HttpRequest, object_id: str, number: int) -> HttpResponse:
        """Show one revision and the form to roll back to it."""
        row = self.get_or_404(request, object_id)
        return editing.revision_page(request, self.kind, row, number)

    @reasoned_action(
        label="Enable",
        scope=Scope.CONFIGURE,
        explains="It runs again from the next trigger or tick on.",
        when=lambda row: row.state != ProfileState.ENABLED and not row.hidden,
    )
    def enable(self, actor: Actor, row: Any, reason: str) -> str:
        return self._set_state(actor, row, ProfileState.ENABLED, reason)

    @reasoned_action(
        label="Disable",
        scope=Scope.CONFIGURE,
        explains="It starts nothing from the next trigger or tick on. Running cycles go on with "
        "their snapshot.",
        when=lambda row: row.state == ProfileState.ENABLED and not row.hidden,
    )
    def disable(self, actor: Actor, row: Any, reason: str) -> str:
        return self._set_state(actor, row, ProfileState.DISABLED, reason)

    def _set_state(self, actor: Actor, row: Any, state: ProfileState, reason: str) -> str:
        edit.set_state(self.kind, str(row), state, actor=actor, source="admin", reason=reason)
        return f"{row} {state}."


@admin.register(Profile)
class ProfileAdmin(_Configured):
    """Profiles: what cycles do."""

    kind = PROFILE
    namespace_path, narrow_path = "run_profiles__namespace", ""
    list_display = (
        "profile_id",
        "label",
        "state_switch",
        "last_outcome",
        "next_run",
        "revision",
        "updated_at",
    )
    list_filter = (filters.choice("state", ProfileState),)
    search_fields = ("profile_id",)
    ordering = ("profile_id",)

    def get_queryset(self, request: HttpRequest) -> Any:
        # Not a filter by namespace: it would join, and show a profile once for each run profile.
        actor = narrowed(request) if shows_list(request) else actor_of(request)
        rows = Profile.objects.all() if actor.namespaces is None else visible.profiles(actor)
        return rows.order_by("profile_id")


@admin.register(RunProfile)
class RunProfileAdmin(_Configured):
    """Run profiles: where and when profiles run."""

    kind = RUN_PROFILE
    namespace_path = "namespace"
    list_display = (
        "run_profile_id",
        "profile",
        "namespace_name",
        "state_switch",
        "last_outcome",
        "next_run",
        "revision",
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
        return render_to_string("console/profile/why.html", {"row": row})


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
