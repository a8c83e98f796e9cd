"""Addresses."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from governance.api import operations
from orbit.api import cycles, dead_letters, profiles, trigger
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
    path("cycles", cycles.Collection.as_view()),
    path("cycles/<uuid:cycle_id>", cycles.One.as_view()),
    path("cycles/<uuid:cycle_id>/cancel", cycles.Cancel.as_view()),
    path("profiles", profiles.Profiles.as_view()),
    path("profiles/<str:profile_id>", profiles.OneProfile.as_view()),
    path("run-profiles", profiles.RunProfiles.as_view()),
    path("run-profiles/<str:run_profile_id>", profiles.OneRunProfile.as_view()),
    path("dead-letters", dead_letters.Collection.as_view()),
    path("dead-letters/groups", dead_letters.Groups.as_view()),
    path("dead-letters/requeue", dead_letters.RequeueMany.as_view()),
    path("dead-letters/dismiss", dead_letters.DismissMany.as_view()),
    path("dead-letters/<uuid:letter_id>", dead_letters.One.as_view()),
    path("dead-letters/<uuid:letter_id>/requeue", dead_letters.Requeue.as_view()),
    path("dead-letters/<uuid:letter_id>/dismiss", dead_letters.Dismiss.as_view()),
    path("operations", operations.Collection.as_view()),
    path("operations/<uuid:run_id>", operations.One.as_view()),
    path("operations/<uuid:run_id>/items", operations.Items.as_view()),
    path("operations/<uuid:run_id>/cancel", operations.Cancel.as_view()),
]

handler400 = "orbit_site.faults.bad_request"
handler403 = "orbit_site.faults.forbidden"
handler404 = "orbit_site.faults.not_found"
handler500 = "orbit_site.faults.server_error"
