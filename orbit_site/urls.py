"""The routes of console, API and probes."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from advisory.api import (
    autonomy,
    backtests,
    confirmation,
    decisions,
    policies,
    proposals,
    signals,
)
from governance.api import alerts, audit, namespaces, operations, pause
from orbit.api import (
    conductor_run_cancel,
    conductor_runs,
    conductor_tasks,
    configuration,
    cycles,
    dead_letters,
    endpoints,
    orchestrate,
    profiles,
    reruns,
    revisions,
    schedules,
    trigger,
    trigger_batch,
    value_ledger,
)
from orbit_site import contract, health, metrics
from orbit_site.overview import api as overview
from telemetry.api import coverage, events, readings

admin.autodiscover()

urlpatterns = [
    path("", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
    path("health", health.health),
    path("ready", health.ready, name="ready"),
    path("metrics", metrics.Metrics.as_view(), name="metrics"),
    path("api/schema", contract.ApiDocument.as_view(), name="api-schema"),
    path("api/docs", contract.page),
    path("overview", overview.OverviewDetail.as_view()),
    path("api/docs/plain", contract.plain, name="api-plain"),
    path("api/docs/guide", contract.guide, name="api-guide"),
    path("cycles/trigger", trigger.CycleTrigger.as_view()),
    path("cycles/trigger/batch", trigger_batch.CycleTriggerBatch.as_view()),
    path("cycles/recent", cycles.CycleRecent.as_view()),
    path("cycles/rerun", reruns.CycleBulkRerun.as_view()),
    path("cycles", cycles.CycleList.as_view()),
    path("cycles/<uuid:cycle_id>", cycles.CycleDetailView.as_view(), name="cycle_detail"),
    path("cycles/<uuid:cycle_id>/cancel", cycles.CycleCancel.as_view()),
    path("cycles/<uuid:cycle_id>/rerun", reruns.CycleRerun.as_view()),
    path("endpoints/<str:endpoint_key>/test", endpoints.EndpointTest.as_view()),
    path("profiles", profiles.ProfileList.as_view()),
    path("profiles/<str:profile_id>", profiles.ProfileDetail.as_view()),
    path("profiles/<str:profile_id>/revisions", revisions.ProfileRevisionList.as_view()),
    path(
        "profiles/<str:profile_id>/revisions/<int:number>",
        revisions.ProfileRevisionDetail.as_view(),
    ),
    path(
        "profiles/<str:profile_id>/revisions/<int:number>/restore",
        revisions.ProfileRevisionRestore.as_view(),
    ),
    path("profiles/<str:profile_id>/signals", signals.ProfileSignals.as_view()),
    path("signals", signals.SignalList.as_view()),
    path("signals/<uuid:signal_id>", signals.SignalDetail.as_view()),
    path(
        "profiles/<str:profile_id>/strategy-proposals",
        proposals.ProfileProposals.as_view(),
    ),
    path("strategy-proposals", proposals.ProposalList.as_view()),
    path("strategy-proposals/<uuid:proposal_id>", proposals.ProposalDetail.as_view()),
    path("strategy-proposals/<uuid:proposal_id>/confirm", confirmation.ProposalConfirm.as_view()),
    path("strategy-proposals/<uuid:proposal_id>/approve", decisions.ProposalApproval.as_view()),
    path("strategy-proposals/<uuid:proposal_id>/reject", decisions.ProposalRejection.as_view()),
    path(
        "strategy-proposals/<uuid:proposal_id>/backtest",
        backtests.ProposalBacktest.as_view(),
    ),
    path("run-profiles", profiles.RunProfileList.as_view()),
    path("run-profiles/trigger", orchestrate.RunProfileTriggerAll.as_view()),
    path("run-profiles/<str:run_profile_id>/trigger", orchestrate.RunProfileTrigger.as_view()),
    path("run-profiles/<str:run_profile_id>", profiles.RunProfileDetail.as_view()),
    path("schedules", schedules.ScheduleList.as_view()),
    path("schedules/ticks", schedules.TickList.as_view()),
    path("schedules/why", schedules.ScheduleExplanation.as_view()),
    path("run-profiles/<str:run_profile_id>/revisions", revisions.RunProfileRevisionList.as_view()),
    path(
        "run-profiles/<str:run_profile_id>/revisions/<int:number>",
        revisions.RunProfileRevisionDetail.as_view(),
    ),
    path(
        "run-profiles/<str:run_profile_id>/revisions/<int:number>/restore",
        revisions.RunProfileRevisionRestore.as_view(),
    ),
    path("config/diff", configuration.ConfigDiff.as_view()),
    path("config/reload", configuration.ConfigReload.as_view()),
    path("value-ledger", value_ledger.ValueEntryList.as_view()),
    path("value-ledger/totals", value_ledger.ValueTotals.as_view()),
    path(
        "value-ledger/totals.csv", value_ledger.ValueTotalsFile.as_view(), name="value_ledger_file"
    ),
    path("dead-letters", dead_letters.DeadLetterList.as_view()),
    path("dead-letters/groups", dead_letters.DeadLetterGroups.as_view()),
    path("dead-letters/requeue", dead_letters.DeadLetterBulkRequeue.as_view()),
    path("dead-letters/dismiss", dead_letters.DeadLetterBulkDismiss.as_view()),
    path("dead-letters/<uuid:letter_id>", dead_letters.DeadLetterDetail.as_view()),
    path("dead-letters/<uuid:letter_id>/requeue", dead_letters.DeadLetterRequeue.as_view()),
    path("dead-letters/<uuid:letter_id>/dismiss", dead_letters.DeadLetterDismiss.as_view()),
    path("alerts", alerts.AlertList.as_view()),
    path("alerts/<uuid:alert_id>/acknowledge", alerts.AlertAcknowledge.as_view()),
    path("governance/pause", pause.PauseDetail.as_view()),
    path("governance/unpause", pause.PauseEnd.as_view()),
    path("governance/namespaces", namespaces.NamespaceList.as_view()),
    path("governance/namespaces/<str:namespace>", namespaces.NamespaceDetail.as_view()),
    path(
        "governance/namespaces/<str:namespace>/approval-policy",
        policies.ApprovalPolicyDetail.as_view(),
    ),
    path("governance/namespaces/<str:namespace>/halt", namespaces.NamespaceHalt.as_view()),
    path("governance/namespaces/<str:namespace>/drain", namespaces.NamespaceDrain.as_view()),
    path("governance/namespaces/<str:namespace>/resume", namespaces.NamespaceResume.as_view()),
    path("audit-trail", audit.AuditEntryList.as_view()),
    path("audit-trail/verify", audit.AuditVerification.as_view()),
    path("audit-trail/<int:number>", audit.AuditEntryDetail.as_view()),
    path("telemetry/events", events.TelemetryEvents.as_view()),
    path("telemetry/projection/tasks", readings.TaskList.as_view()),
    path("telemetry/artifacts", readings.ArtifactList.as_view()),
    path("telemetry/metrics", readings.MetricList.as_view()),
    path("telemetry/policy-violations", readings.PolicyViolationList.as_view()),
    path("telemetry/error-groups", readings.ErrorGroupList.as_view()),
    path("telemetry/coverage", coverage.TelemetryCoverage.as_view()),
    path("conductor/runs", conductor_runs.ConductorRunList.as_view()),
    path("conductor/runs/<str:conductor_run_id>", conductor_runs.ConductorRunDetail.as_view()),
    path(
        "conductor/runs/<str:conductor_run_id>/cancel",
        conductor_run_cancel.ConductorRunCancel.as_view(),
    ),
    path("conductor/runs/<str:conductor_run_id>/tasks", conductor_runs.ConductorTaskList.as_view()),
    path("conductor/tasks/claim", conductor_tasks.ConductorTaskClaim.as_view()),
    path("conductor/tasks/complete", conductor_tasks.ConductorTaskBatchComplete.as_view()),
    path("conductor/tasks/heartbeat", conductor_tasks.ConductorTaskBatchHeartbeat.as_view()),
    path(
        "conductor/tasks/<str:conductor_task_id>/heartbeat",
        conductor_tasks.ConductorTaskHeartbeat.as_view(),
    ),
    path(
        "conductor/tasks/<str:conductor_task_id>/complete",
        conductor_tasks.ConductorTaskComplete.as_view(),
    ),
    path(
        "conductor/tasks/<str:conductor_task_id>/fail", conductor_tasks.ConductorTaskFail.as_view()
    ),
    path(
        "conductor/tasks/<str:conductor_task_id>/release",
        conductor_tasks.ConductorTaskRelease.as_view(),
    ),
    path(
        "conductor/tasks/<str:conductor_task_id>/retry",
        conductor_tasks.ConductorTaskRetry.as_view(),
    ),
    path(
        "conductor/tasks/<str:conductor_task_id>/cancel",
        conductor_tasks.ConductorTaskCancel.as_view(),
    ),
    path("conductor/tasks/<str:conductor_task_id>", conductor_runs.ConductorTaskDetail.as_view()),
    path("autonomy/actions", autonomy.AutonomyActionList.as_view()),
    path("autonomy/actions/<uuid:action_id>", autonomy.AutonomyActionDetail.as_view()),
    path("autonomy/actions/<uuid:action_id>/revert", autonomy.AutonomyActionRevert.as_view()),
    path("operations", operations.OperationRunList.as_view()),
    path("operations/periodic", operations.PeriodicWorkList.as_view()),
    path("operations/<uuid:run_id>", operations.OperationRunDetail.as_view()),
    path("operations/<uuid:run_id>/items", operations.OperationRunItemList.as_view()),
    path("operations/<uuid:run_id>/cancel", operations.OperationRunCancel.as_view()),
]

handler400 = "orbit_site.error_pages.bad_request"
handler403 = "orbit_site.error_pages.forbidden"
handler404 = "orbit_site.error_pages.not_found"
handler500 = "orbit_site.error_pages.server_error"
