"""Profiles and run profiles with their revisions, and what was applied last."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from governance.console import display, filters
from governance.console.base import ReadOnlyAdmin, actor_of
from orbit.models import AppliedFiles, Profile, ProfileRevision, RunProfile, RunProfileRevision
from orbit.profiles import visible
from orbit.states import State


class _Configured(ReadOnlyAdmin):
    ordering = ("id",)

    @admin.display(description="state")
    def state_shown(self, row: Any) -> str:
        """The state as a badge."""
        return display.badge("hidden" if row.hidden else row.state)


@admin.register(Profile)
class ProfileAdmin(_Configured):
    """What cycles do."""

    namespace_path = "run_profiles__namespace"
    list_display = ("profile_id", "label", "state_shown", "revision", "updated_at")
    list_filter = (filters.choice("state", State),)
    search_fields = ("profile_id",)
    ordering = ("profile_id",)

    def get_queryset(self, request: HttpRequest) -> Any:
        """Return the profiles that the person sees, each once; hidden ones too for who sees all."""
        actor = actor_of(request)
        return Profile.objects.order_by("profile_id") if actor.namespaces is None else visible.profiles(actor).order_by("profile_id")


@admin.register(RunProfile)
class RunProfileAdmin(_Configured):
    """Where and when profiles run."""

    namespace_path = "namespace"
    list_display = ("run_profile_id", "profile", "where", "state_shown", "revision", "updated_at", "why")
    list_select_related = ("profile",)
    list_filter = (filters.NamespaceFilter, filters.choice("state", State))
    search_fields = ("run_profile_id",)
    ordering = ("run_profile_id",)

    @admin.display(description="namespace")
    def where(self, row: RunProfile) -> str:
        """The namespace's name."""
        return row.namespace_id

    @admin.display(description="did it run?")
    def why(self, row: RunProfile) -> SafeString:
        """The way to the page that says why it ran or didn't."""
        address = f"{reverse('admin:orbit_why')}?{urlencode({'run_profile_id': row.run_profile_id})}"
        return format_html('<a href="{}">Why?<span class="visually-hidden"> {}</span></a>', address, row.run_profile_id)


@admin.register(ProfileRevision)
class ProfileRevisionAdmin(ReadOnlyAdmin):
    """Profiles as they were saved."""

    list_display = ("profile", "number", "author", "source", "reason", "created_at")
    list_select_related = ("profile",)
    links = ("profile", "profile__id__exact")


@admin.register(RunProfileRevision)
class RunProfileRevisionAdmin(ReadOnlyAdmin):
    """Run profiles as they were saved."""

    namespace_path = "run_profile__namespace"
    list_display = ("run_profile", "number", "author", "source", "reason", "created_at")
    list_select_related = ("run_profile",)
    links = ("run_profile", "run_profile__id__exact")


@admin.register(AppliedFiles)
class AppliedFilesAdmin(ReadOnlyAdmin):
    """The configuration's files as they were last applied."""

    list_display = ("sha256", "applied_at")
