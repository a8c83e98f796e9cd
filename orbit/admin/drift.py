"""The drift page: where the files and the database differ, Reload and Export."""

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
from orbit.profiles import diff, export, reload

_CYCLES = 20


@pages.page(
    "config/drift/",
    name="config_drift",
    title="Config drift",
    group="Configuration",
    sends=Scope.CONFIGURE,
    workspace=True,
)
def page(request: HttpRequest) -> HttpResponse:
    """Show every difference with both values; on POST have one side take the other's."""
    actor = actor_of(request)
    may = actor.may(Scope.CONFIGURE)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    context: dict[str, Any] = {
        "form": form,
        "may": may,
        "folder": settings.ORBIT_CONFIG_DIR,
        "applied": AppliedFiles.objects.filter(id=1).first(),
    }
    if form.is_valid():
        try:
            messages.success(request, _act(request, form.cleaned_data["reason"]))
        except CyclesActive as refused:
            context |= {
                "refused": refused.detail,
                "cycles": refused.extra["active_cycle_run_ids"][:_CYCLES],
            }
        except OrbitError as refused:
            messages.error(request, refused.detail.splitlines()[0])
        else:
            return HttpResponseRedirect(request.path)
    try:
        found = diff.differences(actor=actor)
    except OrbitError as refused:
        context["errors"] = refused.errors
    else:
        context |= {"total": len(found), "groups": _groups(diff.bounded(found))}
    return pages.draw(request, "console/drift.html", title="Config drift", **context)


def _act(request: HttpRequest, reason: str) -> str:
    if "_export" in request.POST:
        written = export.export(
            Path(settings.ORBIT_CONFIG_DIR), actor=actor_of(request), reason=reason
        )
        return f"Written: {', '.join(path.name for path in written)}."
    done = reload.apply_files(actor=actor_of(request), reason=reason)
    return f"Reloaded: {len(done.created)} created, {len(done.changed)} changed, {len(done.hidden)} hidden, {done.unchanged} unchanged."


def _groups(found: list[diff.Difference]) -> list[tuple[str, list[diff.Difference]]]:
    """Return the differences as a person asks for them: only in the files, only in the database, in both but not the same."""
    in_files = [one for one in found if not one.pointer and one.in_database is json_diff.ABSENT]
    in_database = [one for one in found if not one.pointer and one.in_files is json_diff.ABSENT]
    both = [one for one in found if one.pointer]
    named = (
        ("Only in the files: Reload makes them", in_files),
        ("Only in the database: Reload hides them", in_database),
        ("In both, but not the same", both),
    )
    return [(title, rows) for title, rows in named if rows]
