"""The addresses of every page that the bad night fills."""

from collections.abc import Iterator

from django.contrib import admin
from django.urls import NoReverseMatch, get_resolver, reverse

from governance.console import pages
from governance.models import AuditTrailEntry, Namespace, OperationRun
from orbit.models import (
    ConductorRun,
    ConductorTask,
    DispatchJob,
    NormalizationItem,
    Profile,
    RunProfile,
)
from telemetry.models import ErrorGroup, TelemetryEvent
from tests.e2e.conftest import NightSite

#: Fragments: no pages of their own.
PARTS = {"banners", "banner", "saved_pinned"}
#: Pages of objects, and of what stands behind a question mark.
OTHERS = (
    "orbit/cyclerun/{partial}/change/",
    "orbit/cyclerun/{partial}/change/?tab=provenance&node=tier:3",
    "orbit/cyclerun/{partial}/change/?tab=provenance&node=attempts:aurora:failed:503",
    "orbit/cyclerun/{partial}/run_again/",
    "orbit/cyclerun/{waiting}/change/",
    "orbit/cyclerun/{waiting}/cancel/",
    "orbit/cyclerun/compare/?a={before}&b={partial}",
    "orbit/deadletterdispatch/{letter}/change/",
    "orbit/deadletterdispatch/{letter}/requeue/",
    "orbit/deadletterdispatch/{letter}/dismiss/",
    "orbit/profile/{daily}/change/",
    "orbit/profile/{weekly}/history/",
    "orbit/runprofile/{daily_eu}/change/",
    "advisory/strategyproposal/{open_proposal}/change/",
    "advisory/strategyproposal/{own_proposal}/change/",
    "advisory/strategyproposal/{stale_proposal}/change/",
    "governance/namespace/{eu}/change/",
    "governance/namespace/{eu}/halt/",
    "governance/namespace/{apac}/resume/",
    "access/?user=ann",
    "search/?q=eu",
    "search/?q=nothing-has-this",
    "password_change/",
)


def paths(site: NightSite) -> list[str]:
    """Return them all, for an administrator."""
    get_resolver().url_patterns  # noqa: B018 - loading them registers the pages
    return sorted({*_lists(), *_pages(), *_objects(site)})


def _lists() -> Iterator[str]:
    for model in admin.site._registry:
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"admin:{name}_changelist")


def _pages() -> Iterator[str]:
    yield reverse("admin:index")
    for page in pages.registered():
        if page.name in PARTS:
            continue
        try:
            yield reverse(f"admin:{page.name}")
        except NoReverseMatch:
            continue  # a page of an object


def _objects(site: NightSite) -> Iterator[str]:
    ids = {
        **{name: value for name, value in vars(site.night).items() if isinstance(value, str)},
        **{row.profile_id: row.pk for row in Profile.objects.all()},
        "daily_eu": RunProfile.objects.get(run_profile_id="daily-eu").pk,
        **{row.name: row.pk for row in Namespace.objects.all()},
    }
    for address in OTHERS:
        yield f"/admin/{address.format(**ids)}"
    for model in (
        AuditTrailEntry,
        OperationRun,
        ConductorRun,
        ConductorTask,
        DispatchJob,
        NormalizationItem,
        ErrorGroup,
        TelemetryEvent,
    ):
        row = model._default_manager.order_by("-pk").first()
        if row is not None:
            name = f"{model._meta.app_label}_{model._meta.model_name}"
            yield reverse(f"admin:{name}_change", args=[row.pk])
