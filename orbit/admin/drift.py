"""The drift page: differences between files and database, Reload and Export."""

from pathlib import Path

from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import redirect

from governance.access.roles import Scope
from governance.console import pages
from governance.console.actions import ReasonForm
from governance.console.base import actor_of
from orbit.models import AppliedFiles
from orbit.profiles import drift, export, reload


@pages.page(
    "config/drift/",
    "Config drift",
    "console/drift.html",
    sends=Scope.CONFIGURE,
    workspace=True,
)
def page(request: HttpRequest) -> pages.Answer:
    """Show the differences; on POST reload the files or export the database."""
    form = ReasonForm(request.POST or None)
    if form.is_valid():
        reason = form.cleaned_data["reason"]
        if pages.tried(request, lambda: _reload_or_export(request, reason)):
            return redirect(request.path)
    report = drift.report(actor=actor_of(request))
    return {
        "form": form,
        "title": report.sentence,
        "report": report,
        "folder": settings.ORBIT_CONFIG_DIR,
        "applied": AppliedFiles.objects.filter(id=1).first(),
    }


def _reload_or_export(request: HttpRequest, reason: str) -> str:
    actor = actor_of(request)
    if "_export" in request.POST:
        paths = export.export(Path(settings.ORBIT_CONFIG_DIR), actor=actor, reason=reason)
        return f"Written: {', '.join(path.name for path in paths)}."
    return reload.apply_files(actor=actor, reason=reason).sentence
