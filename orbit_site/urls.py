"""All URLs: console, processes, REST API."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from governance.api import audit, namespaces, operations, pause
from orbit.api import (
    configuration,
    cycles,
    dead_letters,
    orchestrate,
    profiles,
    reruns,
    revisions,
    schedules,
    trigger,
    value_ledger,
)
from orbit_site import contract, health, metrics

urlpatterns = [
    path("", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
    path("health", health.health),
    path("ready", health.ready),
    path("metrics", metrics.Metrics.as_view()),
    path("api/schema", contract.Contract.as_view(), name="api-schema"),
    path("api/docs", contract.page),
    path("cycles/trigger", trigger.TriggerCycle.as_view()),
    path("cycles/recent", cycles.Recent.as_view()),
    path("cycles/rerun", reruns.RerunMany.as_view()),
    path("cycles", cycles.Collection.as_view()),
    path("cycles/<uuid:cycle_id>", cycles.One.as_view()),
    path("cycles/<uuid:cycle_id>/cancel", cycles.Cancel.as_view()),
    path("cycles/<uuid:cycle_id>/rerun", reruns.Rerun.as_view()),
    path("profiles", profiles.Profiles.as_view()),
    path("profiles/<str:profile_id>", profiles.OneProfile.as_view()),
    path("profiles/<str:profile_id>/revisions", revisions.OfProfile.as_view()),
    path("profiles/<str:profile_id>/revisions/<int:number>", revisions.OneOfProfile.as_view()),
    path(
        "profiles/<str:profile_id>/revisions/<int:number>/restore",
        revisions.RestoreProfile.as_view(),
    ),
    path("run-profiles", profiles.RunProfiles.as_view()),
    path("run-profiles/trigger", orchestrate.TriggerAll.as_view()),
    path("run-profiles/<str:run_profile_id>/trigger", orchestrate.TriggerOne.as_view()),
    path("run-profiles/<str:run_profile_id>", profiles.OneRunProfile.as_view()),
    path("schedules", schedules.Collection.as_view()),
    path("schedules/ticks", schedules.Ticks.as_view()),
    path("schedules/why", schedules.Why.as_view()),
    path("run-profiles/<str:run_profile_id>/revisions", revisions.OfRunProfile.as_view()),
    path(
        "run-profiles/<str:run_profile_id>/revisions/<int:number>",
        revisions.OneOfRunProfile.as_view(),
    ),
    path(
        "run-profiles/<str:run_profile_id>/revisions/<int:number>/restore",
        revisions.RestoreRunProfile.as_view(),
    ),
    path("config/diff", configuration.Diff.as_view()),
    path("config/reload", configuration.Reload.as_view()),
    path("value-ledger", value_ledger.Entries.as_view()),
    path("value-ledger/totals", value_ledger.Sums.as_view()),
    path("value-ledger/totals.csv", value_ledger.SumsFile.as_view(), name="value_ledger_file"),
    path("dead-letters", dead_letters.Collection.as_view()),
    path("dead-letters/groups", dead_letters.Groups.as_view()),
    path("dead-letters/requeue", dead_letters.RequeueMany.as_view()),
    path("dead-letters/dismiss", dead_letters.DismissMany.as_view()),
    path("dead-letters/<uuid:letter_id>", dead_letters.One.as_view()),
    path("dead-letters/<uuid:letter_id>/requeue", dead_letters.Requeue.as_view()),
    path("dead-letters/<uuid:letter_id>/dismiss", dead_letters.Dismiss.as_view()),
    path("governance/pause", pause.Pause.as_view()),
    path("governance/unpause", pause.Unpause.as_view()),
    path("governance/namespaces", namespaces.Collection.as_view()),
    path("governance/namespaces/<str:namespace>", namespaces.One.as_view()),
    path("governance/namespaces/<str:namespace>/halt", namespaces.Halt.as_view()),
    path("governance/namespaces/<str:namespace>/drain", namespaces.Drain.as_view()),
    path("governance/namespaces/<str:namespace>/resume", namespaces.Resume.as_view()),
    path("audit-trail", audit.Collection.as_view()),
    path("audit-trail/verify", audit.Verify.as_view()),
    path("audit-trail/<int:number>", audit.One.as_view()),
    path("operations", operations.Collection.as_view()),
    path("operations/<uuid:run_id>", operations.One.as_view()),
    path("operations/<uuid:run_id>/items", operations.Items.as_view()),
    path("operations/<uuid:run_id>/cancel", operations.Cancel.as_view()),
]

handler400 = "orbit_site.error_pages.bad_request"
handler403 = "orbit_site.error_pages.forbidden"
handler404 = "orbit_site.error_pages.not_found"
handler500 = "orbit_site.error_pages.server_error"
