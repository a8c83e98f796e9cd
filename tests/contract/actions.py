"""Every action that changes something: routes, pages, admin actions, commands.

Add a route to ``ROUTES``, or to ``SILENT_ROUTES`` with the reason why it leaves no audit entry.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import Model

from governance.models import OperationRun
from orbit.models import ConductorTask, CycleRun, DeadLetterDispatch
from orbit.states import ProfileState
from tests.contract.installation import Installation
from tests.support.alerts import create_alert
from tests.support.configuration import profile, run_profile

PASSWORD = "another-long-1"
REASON = {"reason": "because"}
WORK = "events tell what workers do (docs/telemetry.md)"

#: Makes the objects of an action, and returns the action itself, which returns the response.
Prepare = Callable[[Installation], Callable[[], Any]]


def post(
    path: str, target: Callable[[Installation], Any] | None = None, by: str = "api", **body: Any
) -> Prepare:
    """POST ``body`` to ``path``, with the ``target``'s id for ``{}``, by token or session."""

    def prepare(installation: Installation) -> Callable[[], Any]:
        target_id = "" if target is None else str(target(installation))
        return lambda: getattr(installation, by).post(path.format(target_id), body)

    return prepare


def edit(
    method: str,
    path: str,
    body: Any,
    target: Callable[[Installation], Any] | None = None,
    revision: int = 1,
) -> Prepare:
    """Send an edit whose If-Match is ``revision``."""

    def prepare(installation: Installation) -> Callable[[], Any]:
        if target is not None:
            target(installation)
        return lambda: installation.api.send(method, path, body, If_Match=f'"{revision}"')

    return prepare


def submit(
    path: str, target: Callable[[Installation], Any] | None = None, **fields: Any
) -> Prepare:
    """Submit a form of the console."""

    def prepare(installation: Installation) -> Callable[[], Any]:
        target_id = "" if target is None else str(target(installation))
        return lambda: installation.browser.post(f"/admin/{path.format(target_id)}", fields)

    return prepare


def mark_cycle_seen(installation: Installation) -> Callable[[], Any]:
    """Mark a cycle as seen, from the list."""
    fields = {"action": "mark_seen", "_selected_action": [str(installation.cycle().pk)]}
    return lambda: installation.browser.post("/admin/orbit/cyclerun/", fields)


def save_editor(
    path: str, target: Callable[[Installation], Any] | None = None, **changes: str
) -> Prepare:
    """Save the editor's form as it is rendered, with a reason and ``changes``."""

    def prepare(installation: Installation) -> Callable[[], Any]:
        address = f"/admin/{path.format('' if target is None else target(installation).pk)}"
        rendered = {
            field.name: field.value()
            for field in installation.browser.get(address).context["form"]
            if field.value() is not None
        }
        return lambda: installation.browser.post(
            address, {**rendered, "_save": "1", **REASON, **changes}
        )

    return prepare


def submit_preview(path: str, target: Callable[[Installation], Any], **fields: Any) -> Prepare:
    """Submit the form of a preview, with the hidden fields that it was rendered with."""

    def prepare(installation: Installation) -> Callable[[], Any]:
        target(installation)
        preview = installation.browser.get(f"/admin/{path}").context["preview"]
        frozen = {"frozen": preview.digest, "until": preview.until.isoformat()}
        return lambda: installation.browser.post(f"/admin/{path}", {**frozen, **fields})

    return prepare


def run(*words: str, target: Callable[[Installation], Any] | None = None) -> Prepare:
    """Run a command, with the ``target`` for ``{}`` in its arguments."""

    def prepare(installation: Installation) -> Callable[[], Any]:
        target_id = "" if target is None else str(target(installation))
        return lambda: call_command(*(word.replace("{}", target_id) for word in words))

    return prepare


def run_failing(*words: str) -> Prepare:
    """Run a command that exits with 1: the test's receiver doesn't answer."""

    def prepare(installation: Installation) -> Callable[[], Any]:
        def act() -> None:
            with pytest.raises(SystemExit):
                call_command(*words)

        return act

    return prepare


def mark_seen(installation: Installation) -> Callable[[], Any]:
    """Mark the group of a dead letter as seen."""
    group = DeadLetterDispatch.objects.get(pk=installation.dead_letter()).error_group
    address = "/admin/orbit/deadletterdispatch/seen/"
    return lambda: installation.browser.post(address, {"group": group})


ROUTES: dict[str, Prepare] = {
    "POST alerts/<uuid:alert_id>/acknowledge": post(
        "/alerts/{}/acknowledge", lambda _: create_alert(), **REASON
    ),
    "POST cycles/trigger": post("/cycles/trigger"),
    "POST cycles/trigger/batch": post("/cycles/trigger/batch", triggers=[{}]),
    "POST cycles/<uuid:cycle_id>/cancel": post(
        "/cycles/{}/cancel", lambda installation: installation.cycle().pk, **REASON
    ),
    "POST conductor/runs": post("/conductor/runs", namespace="a", name="r", tasks=[{"name": "t"}]),
    "POST conductor/runs/<str:conductor_run_id>/cancel": post(
        "/conductor/runs/{}/cancel", lambda installation: installation.conductor_run().pk, **REASON
    ),
    "POST dead-letters/<uuid:letter_id>/requeue": post(
        "/dead-letters/{}/requeue", Installation.dead_letter, **REASON
    ),
    "POST dead-letters/<uuid:letter_id>/dismiss": post(
        "/dead-letters/{}/dismiss", Installation.dead_letter, **REASON
    ),
    "POST dead-letters/requeue": post(
        "/dead-letters/requeue", Installation.dead_letter, filter={}, **REASON
    ),
    "POST dead-letters/dismiss": post(
        "/dead-letters/dismiss", Installation.dead_letter, filter={}, **REASON
    ),
    "POST endpoints/<str:endpoint_key>/test": post("/endpoints/default-endpoint/test"),
    "POST operations/<uuid:run_id>/cancel": post(
        "/operations/{}/cancel", Installation.operation_run, **REASON
    ),
    "POST cycles/<uuid:cycle_id>/rerun": post(
        "/cycles/{}/rerun", Installation.finished_cycle, **REASON
    ),
    "POST cycles/rerun": post("/cycles/rerun", Installation.finished_cycle, filter={}, **REASON),
    "POST conductor/tasks/<str:conductor_task_id>/cancel": post(
        "/conductor/tasks/{}/cancel", Installation.conductor_task, **REASON
    ),
    "POST conductor/tasks/<str:conductor_task_id>/retry": post(
        "/conductor/tasks/{}/retry", Installation.failed_conductor_task, **REASON
    ),
    "POST run-profiles/trigger": post("/run-profiles/trigger"),
    "POST run-profiles/trigger: some": post(
        "/run-profiles/trigger", run_profile_ids=["r1"], **REASON
    ),
    "POST run-profiles/<str:run_profile_id>/trigger": post("/run-profiles/r1/trigger", **REASON),
    "POST profiles/<str:profile_id>/signals": post("/profiles/p1/signals"),
    "POST profiles/<str:profile_id>/strategy-proposals": post(
        "/profiles/{}/strategy-proposals", Installation.profile_with_low_performance
    ),
    "POST strategy-proposals/<uuid:proposal_id>/approve": post(
        "/strategy-proposals/{}/approve", Installation.proposal_id, **REASON
    ),
    "POST strategy-proposals/<uuid:proposal_id>/reject": post(
        "/strategy-proposals/{}/reject", Installation.proposal_id, **REASON
    ),
    "POST strategy-proposals": post(
        "/strategy-proposals",
        profile_id="p1",
        patch=[{"op": "replace", "path": "/label", "value": "New"}],
        rationale="because",
    ),
    "POST strategy-proposals/<uuid:proposal_id>/confirm": post(
        "/strategy-proposals/{}/confirm", Installation.proposal_on_probation, **REASON
    ),
    "PUT profiles/<str:profile_id>": edit("PUT", "/profiles/p1", profile("p1", label="New")),
    "PUT run-profiles/<str:run_profile_id>": edit(
        "PUT", "/run-profiles/r1", run_profile("r1", "p1", "a", value_tags=["new"])
    ),
    "POST profiles/<str:profile_id>/revisions/<int:number>/restore": edit(
        "POST",
        "/profiles/p1/revisions/1/restore",
        REASON,
        lambda installation: installation.profile(label="Newer"),
        2,
    ),
    "POST run-profiles/<str:run_profile_id>/revisions/<int:number>/restore": edit(
        "POST",
        "/run-profiles/r1/revisions/1/restore",
        REASON,
        lambda installation: installation.run_profile(value_tags=["newer"]),
        2,
    ),
    "POST config/reload": post("/config/reload", **REASON),
    "POST governance/pause": post("/governance/pause", **REASON),
    "POST governance/unpause": post("/governance/unpause", Installation.pause, **REASON),
    "POST governance/namespaces": post("/governance/namespaces", by="session", name="new"),
    "PUT governance/namespaces/<str:namespace>/approval-policy": edit(
        "PUT",
        "/governance/namespaces/a/approval-policy",
        {"required_approvals": 2, "expires_after_hours": None, **REASON},
    ),
    "POST governance/namespaces/<str:namespace>/halt": post("/governance/namespaces/a/halt"),
    "POST governance/namespaces/<str:namespace>/halt: a new one": post(
        "/governance/namespaces/new/halt", by="session"
    ),
    "POST governance/namespaces/<str:namespace>/halt: a draining one": post(
        "/governance/namespaces/a/halt", Installation.drained_namespace, **REASON
    ),
    "POST governance/namespaces/<str:namespace>/drain": post(
        "/governance/namespaces/a/drain", **REASON
    ),
    "POST governance/namespaces/<str:namespace>/resume": post(
        "/governance/namespaces/a/resume", Installation.halted_namespace, **REASON
    ),
    "POST autonomy/actions/<uuid:action_id>/revert": post(
        "/autonomy/actions/{}/revert",
        lambda installation: installation.autonomy_action().pk,
        **REASON,
    ),
}
#: Routes that leave no audit entry though they take a body, each with the reason.
SILENT_ROUTES: dict[str, str] = {
    "POST conductor/tasks/claim": WORK,
    "POST conductor/tasks/complete": WORK,
    "POST conductor/tasks/heartbeat": WORK,
    "POST conductor/tasks/<str:conductor_task_id>/heartbeat": WORK,
    "POST conductor/tasks/<str:conductor_task_id>/complete": WORK,
    "POST conductor/tasks/<str:conductor_task_id>/fail": WORK,
    "POST conductor/tasks/<str:conductor_task_id>/release": WORK,
    "POST telemetry/events": "reports of scripts are no actions (docs/telemetry.md)",
}

ACTIONS: dict[str, Callable[[Installation], Model | Any]] = {
    "advisory_autonomyaction_revert": Installation.autonomy_action,
    "governance_apitoken_revoke": Installation.token,
    "governance_loginattempt_unlock": Installation.lockout,
    "governance_operationrun_cancel": lambda installation: OperationRun.objects.get(
        pk=installation.operation_run()
    ),
    "governance_namespace_drain": Installation.namespace,
    "governance_namespace_halt": Installation.namespace,
    "governance_namespace_resume": Installation.halted_namespace,
    "orbit_cyclerun_cancel": Installation.cycle,
    "orbit_cyclerun_run_again": lambda installation: CycleRun.objects.get(
        pk=installation.finished_cycle()
    ),
    "orbit_conductorrun_cancel": Installation.conductor_run,
    "orbit_conductortask_cancel": lambda installation: ConductorTask.objects.get(
        pk=installation.conductor_task()
    ),
    "orbit_conductortask_release": lambda installation: ConductorTask.objects.get(
        pk=installation.held_conductor_task()
    ),
    "orbit_conductortask_retry": lambda installation: ConductorTask.objects.get(
        pk=installation.failed_conductor_task()
    ),
    "orbit_profile_disable": Installation.profile,
    "orbit_profile_enable": lambda installation: installation.profile(state=ProfileState.DISABLED),
    "orbit_runprofile_disable": Installation.run_profile,
    "orbit_runprofile_enable": lambda installation: installation.run_profile(
        state=ProfileState.DISABLED
    ),
    "orbit_deadletterdispatch_requeue": Installation.dead_letter,
    "orbit_deadletterdispatch_dismiss": Installation.dead_letter,
    "telemetry_telemetryarchive_verify": Installation.archive,
}
#: Actions that compare what the user saw, or begin a preview: they change no selection at once.
FOR_ONE_OBJECT = {
    "orbit_conductortask_release",
    "orbit_deadletterdispatch_dismiss",
    "orbit_deadletterdispatch_requeue",
}
#: The fields of an admin action's form, beside the reason.
FIELDS: dict[str, dict[str, Any]] = {
    "orbit_conductortask_release": {"attempt": "1"},
    "orbit_deadletterdispatch_requeue": {"endpoint": "snapshot"},
}

FORMS: dict[str, Prepare] = {
    "advisory_advisorysignal_compute": submit("advisory/advisorysignal/compute/"),
    "advisory_approvalpolicy": submit(
        "advisory/approvalpolicy/a/", required_approvals="2", **REASON
    ),
    "advisory_strategyproposal_change": submit(
        "advisory/strategyproposal/{}/change/",
        lambda installation: installation.proposal().pk,
        verdict="reject",
        **REASON,
    ),
    "advisory_strategyproposal_confirm": submit(
        "advisory/strategyproposal/{}/confirm/",
        lambda installation: installation.probation().pk,
        **REASON,
    ),
    "advisory_strategyproposal_propose": save_editor(
        "advisory/strategyproposal/propose/profile/{}/", Installation.profile, label="New"
    ),
    "auth_user_add": lambda installation: (
        lambda: installation.browser.post(
            "/admin/auth/user/add/",
            installation.user_form(
                username="new", usable_password="true", password1=PASSWORD, password2=PASSWORD
            ),
        )
    ),
    "auth_user_change": lambda installation: (
        lambda: installation.browser.post(
            f"/admin/auth/user/{installation.other_user.pk}/change/", installation.user_form()
        )
    ),
    "auth_user_password_change": lambda installation: (
        lambda: installation.browser.post(
            f"/admin/auth/user/{installation.other_user.pk}/password/",
            {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD},
        )
    ),
    "password_change": submit(
        "password_change/",
        old_password="a-long-password-1",
        new_password1=PASSWORD,
        new_password2=PASSWORD,
    ),
    "halt": submit("halt/", namespace="a", **REASON),
    "governance_namespace_new": submit("governance/namespace/new/", name="new"),
    "alerts_acknowledge": submit("alerts/{}/acknowledge/", lambda _: create_alert(), **REASON),
    "pause": submit("pause/", action="pause", **REASON),
    "pause: its end": submit("pause/", Installation.pause, action="unpause", **REASON),
    "config_drift: Reload": submit("config/drift/", _reload="1", **REASON),
    "config_drift: Export": submit("config/drift/", _export="1", **REASON),
    "orbit_profile_add": save_editor("orbit/profile/add/", profile_id="p2", label="Two"),
    "orbit_profile_change": save_editor(
        "orbit/profile/{}/change/", Installation.profile, label="New"
    ),
    "orbit_profile_revision": submit(
        "orbit/profile/{}/history/1/",
        lambda installation: installation.profile(label="Newer").pk,
        over="2",
        **REASON,
    ),
    "orbit_runprofile_add": save_editor(
        "orbit/runprofile/add/", run_profile_id="r2", profile_id="p1", namespace="a"
    ),
    "orbit_runprofile_change": save_editor(
        "orbit/runprofile/{}/change/", Installation.run_profile, value_tags="new"
    ),
    "orbit_runprofile_revision": submit(
        "orbit/runprofile/{}/history/1/",
        lambda installation: installation.run_profile(value_tags=["newer"]).pk,
        over="2",
        **REASON,
    ),
    "orbit_schedules_switch": submit(
        "orbit/schedules/{}/switch/", Installation.schedule, on="no", **REASON
    ),
    "orbit_schedules_cron": submit(
        "orbit/schedules/{}/cron/", Installation.schedule, cron="0 7 * * *", **REASON
    ),
    "orbit_cyclerun_changelist: mark as seen": mark_cycle_seen,
    "orbit_cyclerun_trigger": submit(
        "orbit/cyclerun/trigger/", run_profile_id="r1", namespace="", **REASON
    ),
    "orbit_cyclerun_trigger: all that are enabled": submit(
        "orbit/cyclerun/trigger/", run_profile_id="*", namespace="", **REASON
    ),
    "orbit_deadletterdispatch_requeue_matching": submit_preview(
        "orbit/deadletterdispatch/requeue-matching/",
        Installation.dead_letter,
        endpoint="snapshot",
        rate="10",
        **REASON,
    ),
    "orbit_deadletterdispatch_dismiss_matching": submit_preview(
        "orbit/deadletterdispatch/dismiss-matching/", Installation.dead_letter, **REASON
    ),
    "orbit_deadletterdispatch_seen": mark_seen,
    "orbit_endpoint": submit("orbit/endpoints/default-endpoint/"),
    "saved": submit(
        "saved/", do="save", name="n", address="orbit/cyclerun/", query="status=failed", shared="1"
    ),
    "access_tokens_new": submit(
        "access/tokens/new/",
        owner="vic",
        name="n",
        scopes=["read"],
        all_namespaces="on",
        days="9",
        **REASON,
    ),
}
#: Pages that leave no audit entry, each with the reason.
SILENT_PAGES: dict[str, str] = {
    "advisory_approvalpolicies": "it only reads; its form has a page of its own",
    "advisory_advisorysignal_change": "it only reads",
    "index": "it only reads",
    "alerts": "it only reads",
    "health": "it only reads",
    "search": "it only reads",
    "app_list": "it only reads",
    "jsi18n": "it is a script",
    "autocomplete": "it only reads",
    "access": "it only reads",
    "banners": "it only reads",
    "saved_pinned": "it only reads",
    "tables": "it only reads",
    "preferences": "it only sets cookies of the user's browser",
    "news_read": "it only sets a cookie of the user's browser",
    "governance_audittrailentry_change": "it only reads",
    "governance_namespace_change": "it only reads",
    "orbit_cyclerun_change": "it only reads",
    "orbit_cyclerun_compare": "it only reads",
    "orbit_conductorrun_change": "it only reads",
    "orbit_conductortask_change": "it only reads",
    "orbit_deadletterdispatch_changelist": "it only reads",
    "orbit_endpoints": "it only reads",
    "orbit_dispatchjob_payload": "it only reads",
    "orbit_dispatchjob_change": "it only reads",
    "orbit_profile_history": "it only reads; restoring has a page of its own",
    "orbit_runprofile_history": "it only reads; restoring has a page of its own",
    "orbit_schedules": "it only reads; its two forms have pages of their own",
    "orbit_why": "it only reads",
    "telemetry_coverage": "it only reads",
    "telemetry_projection": "it only reads",
    "handover": "it only reads",
    "password_change_done": "it only reads",
    "governance_audittrailentry_verify": "it only reads",
    "governance_audittrailentry_export": "it only reads",
    "login": "it updates last_login; see tests/governance/access/test_lockout.py",
    "logout": "it only ends a session",
}

COMMANDS: dict[str, Prepare] = {
    "alerts": run("alerts", "acknowledge", "{}", "--reason", "r", target=lambda _: create_alert()),
    "autonomy revert": run(
        "autonomy",
        "revert",
        "{}",
        "--reason",
        "r",
        target=lambda installation: installation.autonomy_action().pk,
    ),
    "conductor create": run("conductor", "create", "{}", target=Installation.conductor_document),
    "config export": run("config", "export"),
    "config reload": run("config", "reload"),
    "dlq requeue": run("dlq", "requeue", "{}", "--reason", "r", target=Installation.dead_letter),
    "dlq dismiss": run("dlq", "dismiss", "{}", "--reason", "r", target=Installation.dead_letter),
    "endpoint test": run_failing("endpoint", "test", "default-endpoint"),
    "drain": run("drain", "a", "--reason", "r"),
    "halt": run("halt", "a"),
    "namespace create": run("namespace", "create", "new"),
    "operations": run(
        "operations", "cancel", "{}", "--reason", "r", target=Installation.operation_run
    ),
    "pause": run("pause", "--reason", "r"),
    "proposals approve": run(
        "proposals", "approve", "{}", "--reason", "r", target=Installation.proposal_id
    ),
    "proposals confirm": run(
        "proposals", "confirm", "{}", "--reason", "r", target=Installation.proposal_on_probation
    ),
    "proposals create": run(
        "proposals",
        "create",
        "--profile=p1",
        '--patch=[{"op": "replace", "path": "/label", "value": "New"}]',
        "--rationale=r",
    ),
    "proposals generate": run(
        "proposals", "generate", "{}", target=Installation.profile_with_low_performance
    ),
    "proposals reject": run(
        "proposals", "reject", "{}", "--reason", "r", target=Installation.proposal_id
    ),
    "proposals policy": run("proposals", "policy", "a", "--approvals", "2", "--reason", "r"),
    "rerun": run("rerun", "{}", "--reason", "r", target=Installation.finished_cycle),
    "rerun: many": run("rerun", "--all", "--reason", "r", target=Installation.finished_cycle),
    "signals": run("signals"),
    "resume": run("resume", "a", "--reason", "r", target=Installation.halted_namespace),
    "token create": run("token", "create", "vic", "--scopes", "read"),
    "token revoke": run(
        "token", "revoke", "{}", target=lambda installation: installation.token().prefix
    ),
    "trigger": run("trigger", "--run-profile", "r1"),
    "trigger: all run profiles": run("trigger", "--all-run-profiles"),
    "unpause": run("unpause", "--reason", "r", target=Installation.pause),
    "user create": run("user", "create", "new", "--role", "viewer"),
    "user change": run("user", "change", "vic", "--role", "operator"),
    "user unlock": run("user", "unlock", "vic", target=Installation.lockout),
}
SILENT_COMMANDS: dict[str, str] = {
    "status": "it only reads",
    "autonomy list": "it reads",
    "autonomy policies": "it reads",
    "audit verify": "it reads",
    "audit export": "it reads",
    "config check": "it reads",
    "config diff": "it reads",
    "endpoint list": "it reads",
    "conductor aggregate": "it ends parents by their children; events tell it",
    "conductor demo": "it creates a run by hand, as `conductor create` does",
    "conductor fanout": "it makes the children that a run asks for; events tell it",
    "cycles": "it reads",
    "dlq list": "it reads",
    "proposals list": "it reads",
    "proposals backtest": "it reads",
    "proposals show": "it reads",
    "token list": "it reads",
    "user list": "it reads",
    "health": "it reads",
    "namespace show": "it reads",
    "why": "it reads",
    "telemetry coverage": "it reads",
    "telemetry selfcheck": "its simulated run is in the event log",
    "telemetry reconcile": "it repairs a read model; its operation run says what it found",
    "telemetry archive": "it reads; an archive that is intact gets the time",
    "telemetry prune": "it follows the retention; the dropped days are a table of the console",
    "prune": "its entry retention.pruned needs old rows (tests/orbit/retention/test_prune.py)",
    "telemetry run": "reports of scripts are no actions",
    "telemetry replay": "it writes what follows from events; the events stay as they are",
    "telemetry ingest": "reports of scripts are no actions; it is a task in the event log",
    "backup": "its entry backup.made needs a real server (tests/site/backup/test_make.py)",
    "restore": "its entry backup.restored needs a real server (tests/site/backup/test_load.py)",
    "migrate": "it changes the schema only; the audit table may not exist yet",
    "cluster": "a process: its work has entries of its own",
    "qcluster": "a process: its work has entries of its own",
    "web": "a process: its work has entries of its own",
    "up": "a process: its work has entries of its own",
}

#: Actions that find the wanted state already, or are dry runs.
NO_CHANGE: dict[str, Prepare] = {
    "a dry run of a re-run": post("/cycles/{}/rerun", Installation.finished_cycle, dry_run=True),
    "a dry run of many re-runs": post(
        "/cycles/rerun", Installation.finished_cycle, filter={}, dry_run=True
    ),
    "a dry run of a re-run by command": run(
        "rerun", "{}", "--dry-run", target=Installation.finished_cycle
    ),
    "a second halt": post("/governance/namespaces/a/halt", Installation.halted_namespace),
    "a resume of a running namespace": post("/governance/namespaces/a/resume", **REASON),
    "a second pause for the same reason": post("/governance/pause", Installation.pause, reason="r"),
    "an unpause without a pause": post("/governance/unpause", **REASON),
    "a document that is current already": edit("PUT", "/profiles/p1", profile("p1")),
    "a restore of the current document": edit(
        "POST", "/run-profiles/r1/revisions/1/restore", REASON
    ),
    "the editor's Preview": save_editor(
        "orbit/profile/{}/change/", Installation.profile, _preview="1", label="New"
    ),
    "a form that is saved unchanged": save_editor(
        "orbit/runprofile/{}/change/", Installation.run_profile
    ),
    "the current cron again": submit(
        "orbit/schedules/{}/cron/", Installation.schedule, cron="0 6 * * *", **REASON
    ),
    "a schedule that is on already": submit(
        "orbit/schedules/{}/switch/", Installation.schedule, on="yes", **REASON
    ),
}
