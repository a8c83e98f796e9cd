"""A hidden namespace with one object of each kind, and requests that name them."""

from collections.abc import Callable
from typing import Any

import pytest

from advisory.models import AdvisorySignal, AutonomyAction, StrategyProposal
from advisory.proposals import create
from advisory.signals import compute
from governance import audit
from governance.access.actors import SYSTEM, Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel.identifiers import uuid7
from governance.models import (
    AuditTrailEntry,
    Namespace,
    OperationRun,
    SavedFilter,
)
from governance.namespaces import halts
from orbit.cycles import trigger
from orbit.cycles.rerun import single
from orbit.dispatch import bulk
from orbit.errors import CycleActive
from orbit.models import (
    ConductorRun,
    ConductorTask,
    CronTick,
    CycleRun,
    DeadLetterDispatch,
    DispatchJob,
    Profile,
    RunProfile,
    ValueLedgerEntry,
)
from orbit.profiles.kinds import RUN_PROFILE
from orbit.schedules.sync import RunProfileSchedules
from orbit.states import Trigger
from tests.support import advisory_signals, conductor
from tests.support.alerts import create_alert
from tests.support.callers import create_user
from tests.support.configuration import profile, run_profile, store_profiles
from tests.support.pipeline import run_cycle, start_cycle
from tests.support.telemetry_rows import create_one_of_each

HIDDEN = "hidden-ns"
MISSING_NUMBER = 987_654_321
MISSING_ULID = "0" * 26
REASON = {"reason": "mine"}
TOKEN = {"lease_token": "5d2c0c4e-2c3c-4a7b-9f3e-1d6f0a4b8c21"}
AT = "2026-01-31T06:00:00Z"
PATCH = [{"op": "replace", "path": "/state", "value": "disabled"}]

#: The ids of hidden objects, by the name of the route's parameter. A missing twin is ``nowhere-``.
HIDDEN_IDS: dict[str, Callable[[], Any]] = {
    "cycle_id": lambda: CycleRun.objects.filter(namespace=HIDDEN).order_by("id")[0].pk,
    "action_id": lambda: AutonomyAction.objects.get(namespace=HIDDEN).pk,
    "conductor_run_id": lambda: ConductorRun.objects.get(namespace=HIDDEN).pk,
    "conductor_task_id": lambda: ConductorTask.objects.get(namespace=HIDDEN).pk,
    "letter_id": lambda: DeadLetterDispatch.objects.filter(namespace=HIDDEN).order_by("id")[0].pk,
    "proposal_id": lambda: StrategyProposal.objects.filter(namespace=HIDDEN)[0].pk,
    "run_id": lambda: OperationRun.objects.filter(scope=[HIDDEN])[0].pk,
    "alert_id": lambda: create_alert(HIDDEN),
    "entry": lambda: AuditTrailEntry.objects.filter(namespace=HIDDEN)[0].pk,
    "profile": lambda: Profile.objects.get(profile_id="hidden-p").pk,
    "run_profile": lambda: RunProfile.objects.get(run_profile_id="hidden-rp").pk,
    "namespace_id": lambda: Namespace.objects.get(name=HIDDEN).pk,
    "profile_id": lambda: "hidden-p",
    "run_profile_id": lambda: "hidden-rp",
    "signal_id": lambda: AdvisorySignal.objects.filter(namespace=HIDDEN)[0].pk,
    "namespace": lambda: HIDDEN,
    "endpoint_key": lambda: "hidden-endpoint",
    "job_id": lambda: DispatchJob.objects.filter(cycle__namespace=HIDDEN)[0].pk,
    "filter_id": lambda: SavedFilter.objects.get(namespace=HIDDEN).pk,
    "number": lambda: 1,
}
#: Bodies that name something hidden, for routes that write. Needed if the route has no id.
BODIES: dict[str, list[dict[str, Any]]] = {
    **{
        f"POST conductor/tasks/<str:conductor_task_id>/{verb}": [{**TOKEN, **more}]
        for verb, more in {
            "heartbeat": {},
            "complete": {"output": 1},
            "fail": {"error": "mine"},
            "release": {},
        }.items()
    },
    "POST cycles/trigger": [
        {"namespace": HIDDEN},
        {"run_profile_id": "hidden-rp"},
        {"namespace": HIDDEN, "run_profile_id": "open-rp"},
    ],
    "POST cycles/rerun": [
        {"filter": {"namespace": HIDDEN}, **REASON},
        {"filter": {"namespace": HIDDEN}, "dry_run": True},
        {"filter": {"run_profile_id": "hidden-rp"}, "dry_run": True},
    ],
    "POST cycles/<uuid:cycle_id>/rerun": [REASON, {"dry_run": True}],
    "POST conductor/runs": [{"name": "r", "namespace": HIDDEN, "tasks": [{"name": "t"}]}],
    "POST run-profiles/trigger": [
        {"run_profile_ids": ["hidden-rp"]},
        {"run_profile_ids": ["open-rp", "hidden-rp"]},
    ],
    "POST dead-letters/requeue": [{"filter": {"namespace": HIDDEN}, **REASON}],
    "POST dead-letters/dismiss": [{"filter": {"namespace": HIDDEN}, **REASON}],
    "POST strategy-proposals/<uuid:proposal_id>/approve": [REASON, {}],
    "POST strategy-proposals/<uuid:proposal_id>/reject": [REASON, {}],
    "POST strategy-proposals": [
        {"profile_id": "hidden-p", "patch": PATCH, "rationale": "mine"},
        {"run_profile_id": "hidden-rp", "patch": PATCH, "rationale": "mine"},
    ],
    "PUT profiles/<str:profile_id>": [profile("hidden-p", label="Mine")],
    "PUT run-profiles/<str:run_profile_id>": [run_profile("hidden-rp", "open-p", "open-ns")],
    "POST governance/namespaces/<str:namespace>/halt": [REASON, {}],
    "PUT governance/namespaces/<str:namespace>/approval-policy": [
        {"required_approvals": 1, "expires_after_hours": None, **REASON},
        {},
    ],
}
#: Documents that name something hidden.
DOCUMENTS = [
    run_profile("open-rp", "open-p", HIDDEN),
    run_profile("open-rp", "hidden-p", "open-ns"),
]
#: Routes for the whole workspace: 403 for confined users.
WORKSPACE_ROUTES = {
    "metrics",
    "audit-trail/verify",
    "config/diff",
    "POST config/reload",
    "POST governance/pause",
    "POST governance/unpause",
    "POST governance/namespaces",
    "POST endpoints/<str:endpoint_key>/test",
}
#: Routes that answer 202 with a verdict for each object, which tests of their own check.
VERDICT_ROUTES = {
    "POST telemetry/events",
    "POST cycles/trigger/batch",  # see test_trigger_batch.py
    "POST conductor/tasks/claim",
    "POST conductor/tasks/complete",
    "POST conductor/tasks/heartbeat",
}
#: Routes that don't depend on namespaces.
INDEPENDENT_ROUTES = {
    "health",
    "ready",
    "api/schema",
    "api/docs",
    "api/docs/plain",
    "api/docs/guide",
}
#: Routes that need these parameters.
REQUIRED_QUERY = {"schedules/why": f"?run_profile_id=open-rp&at={AT}"}
#: Filters that name something hidden, for every list that has the parameter.
FILTERS = {
    "policy": "hidden-policy",
    "namespace": HIDDEN,
    "run_profile_id": "hidden-rp",
    "profile_id": "hidden-p",
    "endpoint_key": "hidden-endpoint",
    "actor": "hidden-actor",
    "author": "hidden-author",
    "object_id": "hidden-rp",
    "schedule": "run-profile:hidden-rp",
    "tag": "hidden-tag",
    "session_id": "hidden-session",
    "task_id": "hidden-task",
}
#: Pages that need an address made by hand, or don't depend on namespaces.
SKIPPED_PAGES = {"logout", "login", "app_list", "autocomplete", "jsi18n"}
#: Paths of forms and pages with hidden ids in them, and the fields to send; None is a GET.
FORMS: dict[str, list[tuple[str, dict[str, str] | None]]] = {
    "alerts_acknowledge": [("alerts/{alert_id}/acknowledge/", REASON)],
    "saved": [
        *(("saved/", {"do": do, "filter": "{filter_id}"}) for do in ("pin", "unpin", "delete")),
        (
            "saved/",
            {
                "do": "save",
                "name": "n",
                "address": "orbit/cyclerun/",
                "query": "namespace=hidden-ns",
                "shared": "1",
            },
        ),
        ("saved/", None),
        ("saved/pinned/", None),
    ],
    "halt": [("halt/", {"namespace": HIDDEN}), ("halt/?namespace=hidden-ns", None)],
    "orbit_cyclerun_trigger": [
        ("orbit/cyclerun/trigger/", {"run_profile_id": "hidden-rp", "namespace": "", **REASON}),
        ("orbit/cyclerun/trigger/", {"run_profile_id": "", "namespace": HIDDEN, **REASON}),
        ("orbit/cyclerun/trigger/", {"run_profile_id": "open-rp", "namespace": HIDDEN, **REASON}),
    ],
    "orbit_cyclerun_changelist": [
        ("orbit/cyclerun/", {"action": "mark_seen", "_selected_action": "{cycle_id}"})
    ],
    "orbit_cyclerun_compare": [("orbit/cyclerun/compare/?a={cycle_id}&b={cycle_id}", None)],
    "orbit_why": [(f"orbit/why/?run_profile_id=hidden-rp&at={AT}", None)],
    "orbit_schedules_switch": [
        ("orbit/schedules/run-profile:hidden-rp/switch/", fields)
        for fields in (None, {"on": "no", **REASON})
    ],
    "orbit_schedules_cron": [
        ("orbit/schedules/run-profile:hidden-rp/cron/", fields)
        for fields in (None, {"cron": "0 9 * * *", **REASON})
    ],
    "advisory_advisorysignal_compute": [
        ("advisory/advisorysignal/compute/", {"profile_id": "hidden-p"})
    ],
    "advisory_approvalpolicy": [
        ("advisory/approvalpolicy/hidden-ns/", fields)
        for fields in (None, {"required_approvals": "2", **REASON})
    ],
    "advisory_strategyproposal_change": [
        (
            "advisory/strategyproposal/{proposal_id}/change/",
            {"verdict": "reject", **REASON},
        )
    ],
    "advisory_strategyproposal_confirm": [
        ("advisory/strategyproposal/{proposal_id}/confirm/", fields) for fields in (None, REASON)
    ],
    "advisory_strategyproposal_propose": [
        ("advisory/strategyproposal/propose/profile/{profile}/", fields)
        for fields in (None, {"document": "{}", "revision": "1", "latest": "1", **REASON})
    ],
    "orbit_profile_add": [("orbit/profile/add/", {**REASON})],
    "orbit_profile_change": [
        (
            "orbit/profile/{profile}/change/",
            {"document": "{}", "revision": "1", "seen": "1", **REASON},
        )
    ],
    "orbit_profile_revision": [
        ("orbit/profile/{profile}/history/1/", fields) for fields in (None, {"over": "1", **REASON})
    ],
    "orbit_runprofile_add": [
        (
            "orbit/runprofile/add/",
            {"run_profile_id": "new-rp", "profile_id": "hidden-p", "namespace": "open-ns"},
        ),
        (
            "orbit/runprofile/add/",
            {"run_profile_id": "new-rp", "profile_id": "open-p", "namespace": HIDDEN},
        ),
        (
            "orbit/runprofile/add/",
            {
                "run_profile_id": "new-rp",
                "profile_id": "open-p",
                "namespace": HIDDEN,
                "_preview": "1",
            },
        ),
    ],
    "orbit_runprofile_change": [
        (
            "orbit/runprofile/{run_profile}/change/",
            {"document": "{}", "revision": "1", "seen": "1", **REASON},
        )
    ],
    "orbit_runprofile_revision": [
        ("orbit/runprofile/{run_profile}/history/1/", fields)
        for fields in (None, {"over": "1", **REASON})
    ],
    "orbit_deadletterdispatch_requeue_matching": [
        ("orbit/deadletterdispatch/requeue-matching/?namespace=hidden-ns", None)
    ],
    "orbit_deadletterdispatch_dismiss_matching": [
        ("orbit/deadletterdispatch/dismiss-matching/?namespace=hidden-ns", None)
    ],
    "orbit_dispatchjob_payload": [("orbit/dispatchjob/{job_id}/payload/", None)],
    "orbit_dispatchjob_change": [("orbit/dispatchjob/{job_id}/change/", None)],
    "orbit_deadletterdispatch_seen": [("orbit/deadletterdispatch/seen/", {"group": "0" * 16})],
}
#: Forms for the whole workspace: 403 for confined users.
WORKSPACE_FORMS = {
    "pause",
    "config_drift",
    "orbit_endpoint",
    "governance_namespace_new",
    "access_tokens_new",
    "auth_user_add",
    "auth_user_change",
    "auth_user_password_change",
}
#: Forms about the user who fills them in.
OWN_FORMS = {"password_change"}


def create_hidden_objects() -> None:
    """Create one object of each kind in the hidden namespace."""
    document = run_profile(
        "hidden-rp",
        "hidden-p",
        HIDDEN,
        distribution_targets=["hidden-endpoint"],
        execution_policy={"cron": "0 6 * * *"},
    )
    store_profiles([profile("hidden-p", value_tags=["hidden-tag"])], [document])
    store_profiles([], [{**document, "value_tags": ["hidden-tag"]}])
    hidden_author = Actor("hidden-author", None, frozenset(Scope), None)
    create.propose(
        RUN_PROFILE, "hidden-rp", PATCH, actor=hidden_author, rationale="hidden-rationale"
    )
    RunProfileSchedules("UTC").follow()
    CronTick.objects.create(
        id=uuid7(),
        schedule="run-profile:hidden-rp",
        tick_key="hidden-tick",
        due_at=AT,
        outcome="refused",
        detail={"detail": "hidden-why"},
    )
    ended = run_cycle(start_cycle("hidden-rp", b'{"text": "hidden-payload"}'))
    assert ValueLedgerEntry.objects.filter(namespace=HIDDEN).exists()
    create_one_of_each(HIDDEN, "hidden")
    advisory_signals.action("hidden-p", HIDDEN, "hidden-policy")
    bulk.dismiss(bulk.LetterFilter(namespace=HIDDEN), actor=SYSTEM, reason="hidden-reason")
    single.start(ended.pk, actor=SYSTEM, reason="hidden-reason", source=Trigger.REST)
    with pytest.raises(CycleActive):
        trigger.start(namespace=HIDDEN, source=Trigger.REST, actor=SYSTEM)
    conductor.run({"name": "hidden-task"}, namespace=HIDDEN, name="hidden-run")
    halts.halt(HIDDEN, actor=SYSTEM, reason="hidden-reason")
    compute.compute(actor=SYSTEM, profile_id="hidden-p")
    SavedFilter.objects.create(
        id=uuid7(),
        owner=create_user("hidden-owner"),
        name="hidden-filter",
        address="orbit/cyclerun/",
        query="namespace=hidden-ns",
        namespace=HIDDEN,
        shared=True,
    )
    with audit.transaction():
        audit.record(
            Action.CYCLE_CANCELLED,
            actor="hidden-actor",
            namespace=HIDDEN,
            object_type="cycle",
            object_id="hidden-object",
        )
        audit.record(
            Action.CYCLE_CANCELLED,
            actor="hidden-actor",
            object_type="cycle",
            object_id="hidden-object",
        )
