"""The drift page: differences between files and database, Reload and Export."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from governance.access.roles import Scope
from governance.console import pages
from governance.console.actions import ReasonForm
from governance.console.base import actor_of
from governance.kernel import json_diff
from governance.kernel.errors import OrbitError
from orbit.errors import CyclesActive
from orbit.models import AppliedFiles
from orbit.profiles import drift, export, reload

_MAX_CYCLES = 20


@pages.page(
    "config/drift/",
    name="config_drift",
    title="Config drift",
    group="Configuration",
    sends=Scope.CONFIGURE,
    workspace=True,
)
def page(request: HttpRequest) -> HttpResponse:
    """Show the differences; on POST reload the files or export the database."""
    actor = actor_of(request)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    context: dict[str, Any] = {
        "form": form,
        "may_configure": actor.may(Scope.CONFIGURE),
        "folder": settings.ORBIT_CONFIG_DIR,
        "applied": AppliedFiles.objects.filter(id=1).first(),
    }
    if form.is_valid():
        try:
            messages.success(request, _reload_or_export(request, form.cleaned_data["reason"]))
        except CyclesActive as refusal:
            context["refused"] = refusal.detail
            context["cycles"] = refusal.extra["active_cycle_run_ids"][:_MAX_CYCLES]
        except OrbitError as refusal:
            # The first line only: the page lists the errors below.
            messages.error(request, refusal.detail.splitlines()[0])
        else:
            return HttpResponseRedirect(request.path)
    try:
        differences = drift.differences(actor=actor)
    except OrbitError as refusal:
        context["errors"] = refusal.errors
    else:
        context["total"] = len(differences)
        context["groups"] = _groups(drift.bounded(differences))
    return pages.draw(request, "console/drift.html", title="Config drift", **context)


def _reload_or_export(request: HttpRequest, reason: str) -> str:
    if "_export" in request.POST:
        paths = export.export(
            Path(settings.ORBIT_CONFIG_DIR), actor=actor_of(request), reason=reason
        )
        return f"Written: {', '.join(path.name for path in paths)}."
    summary = reload.apply_files(actor=actor_of(request), reason=reason)
    return (
        f"Reloaded: {len(summary.created)} created, {len(summary.changed)} changed,"
        f" {len(summary.hidden)} hidden, {summary.unchanged} unchanged."
    )


def _groups(differences: list[drift.Difference]) -> list[tuple[str, list[drift.Difference]]]:
    # Without a pointer the whole document is on one side only.
    whole = [difference for difference in differences if not difference.pointer]
    groups = (
        (
            "Only in the files: Reload creates them",
            [difference for difference in whole if difference.in_database is json_diff.ABSENT],
        ),
        (
            "Only in the database: Reload hides them",
            [difference for difference in whole if difference.in_files is json_diff.ABSENT],
        ),
        (
            "In both, but different",
            [difference for difference in differences if difference.pointer],
        ),
    )
    return [(title, rows) for title, rows in groups if rows]
