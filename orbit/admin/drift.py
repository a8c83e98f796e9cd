"""The drift page: differences between files and database, Reload and Export."""

from pathlib import Path

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from governance.access.roles import Scope
from governance.console import pages
from governance.console.actions import ReasonForm
from governance.console.base import actor_of
from governance.kernel.errors import OrbitError
from orbit.models import AppliedFiles
from orbit.profiles import drift, export, reload


@pages.page(
    "config/drift/",
    name="config_drift",
    title="Config drift",
    sends=Scope.CONFIGURE,
    workspace=True,
)
def page(request: HttpRequest) -> HttpResponse:
    """Show the differences; on POST reload the files or export the database."""
    actor, form = actor_of(request), ReasonForm(request.POST or None)
    if form.is_valid():
        try:
            messages.success(request, _reload_or_export(request, form.cleaned_data["reason"]))
        except OrbitError as refusal:
            # The first line only: the page lists the errors, or the cycles, below.
            messages.error(request, refusal.detail.splitlines()[0])
        else:
            return HttpResponseRedirect(request.path)
    report = drift.report(actor=actor)
    return pages.draw(
        request,
        "console/drift.html",
        title=report.sentence,
        form=form,
        report=report,
        may_configure=actor.may(Scope.CONFIGURE),
        folder=settings.ORBIT_CONFIG_DIR,
        applied=AppliedFiles.objects.filter(id=1).first(),
    )


def _reload_or_export(request: HttpRequest, reason: str) -> str:
    actor = actor_of(request)
    if "_export" in request.POST:
        paths = export.export(Path(settings.ORBIT_CONFIG_DIR), actor=actor, reason=reason)
        return f"Written: {', '.join(path.name for path in paths)}."
    summary = reload.apply_files(actor=actor, reason=reason)
    return (
        f"Reloaded: {len(summary.created)} created, {len(summary.changed)} changed,"
        f" {len(summary.hidden)} hidden, {summary.unchanged} unchanged."
    )
