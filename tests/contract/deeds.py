"""How each deed is done, by route, page, action and command, and which leave nothing on the audit trail, and why.

To add a route: a line in ``ROUTES`` that calls it with real objects, or one in ``SILENT_ROUTES`` with the reason. What may be done in
several ways has a line for each: what stands after ``: `` in a name tells them apart.
"""

from collections.abc import Callable
from typing import Any

from django.core.management import call_command
from django.db.models import Model

from governance.models import OperationRun
from orbit.models import CycleRun
from orbit.states import ProfileState
from tests.contract.world import World
from tests.support.configuration import profile, run_profile

PASSWORD = "another-long-1"
REASON = {"reason": "because"}

#: Makes what the deed is done to, and returns the deed itself, which returns the answer.
Deed = Callable[[World], Callable[[], Any]]


def posts(
    path: str, made: Callable[[World], Any] | None = None, by: str = "api", **body: Any
) -> Deed:
    """The deed of a POST with ``body`` to ``path``, in which ``{}`` stands for the id of what ``made`` makes; ``by`` a token, or the ``session``."""

    def prepare(world: World) -> Callable[[], Any]:
        known = "" if made is None else str(made(world))
        return lambda: getattr(world, by).post(path.format(known), body)

    return prepare


def edits(
    method: str, path: str, body: Any, made: Callable[[World], Any] | None = None, revision: int = 1
) -> Deed:
    """The deed of an edit by somebody who saw ``revision``."""

    def prepare(world: World) -> Callable[[], Any]:
        if made is not None:
            made(world)
        return lambda: world.api.send(method, path, body, If_Match=f'"{revision}"')

    return prepare


def fills(path: str, made: Callable[[World], Any] | None = None, **fields: Any) -> Deed:
    """The deed of a form of the console."""

    def prepare(world: World) -> Callable[[], Any]:
        known = "" if made is None else str(made(world))
        return lambda: world.browser.post(f"/admin/{path.format(known)}", fields)

    return prepare


def types(path: str, made: Callable[[World], Any] | None = None, **changes: str) -> Deed:
    """The deed of the editor: its form is sent as it came, with a reason and ``changes``."""

    def prepare(world: World) -> Callable[[], Any]:
        address = f"/admin/{path.format('' if made is None else made(world).pk)}"
        came = {
            field.name: field.value()
            for field in world.browser.get(address).context["form"]
            if field.value() is not None
        }
        return lambda: world.browser.post(address, {**came, "_save": "1", **REASON, **changes})

    return prepare


def runs(*words: str, made: Callable[[World], Any] | None = None) -> Deed:
    """The deed of a command, in whose words ``{}`` stands for what ``made`` makes."""

    def prepare(world: World) -> Callable[[], Any]:
        known = "" if made is None else str(made(world))
        return lambda: call_command(*(word.format(known) for word in words))

    return prepare


ROUTES: dict[str, Deed] = {
    "POST cycles/trigger": posts("/cycles/trigger"),
    "POST cycles/<uuid:cycle_id>/cancel": posts(
        "/cycles/{}/cancel", lambda world: world.cycle().pk, **REASON
    ),
    "POST dead-letters/<uuid:letter_id>/requeue": posts(
        "/dead-letters/{}/requeue", World.letter, **REASON
    ),
    "POST dead-letters/<uuid:letter_id>/dismiss": posts(
        "/dead-letters/{}/dismiss", World.letter, **REASON
    ),
    "POST dead-letters/requeue": posts("/dead-letters/requeue", World.letter, filter={}, **REASON),
    "POST dead-letters/dismiss": posts("/dead-letters/dismiss", World.letter, filter={}, **REASON),
    "POST operations/<uuid:run_id>/cancel": posts(
        "/operations/{}/cancel", World.operation, **REASON
    ),
    "POST cycles/<uuid:cycle_id>/rerun": posts("/cycles/{}/rerun", World.ended, **REASON),
    "POST cycles/rerun": posts("/cycles/rerun", World.ended, filter={}, **REASON),
    "POST run-profiles/trigger": posts("/run-profiles/trigger"),
    "POST run-profiles/trigger: those that are named": posts(
        "/run-profiles/trigger", run_profile_ids=["r1"], **REASON
    ),
    "POST run-profiles/<str:run_profile_id>/trigger": posts("/run-profiles/r1/trigger", **REASON),
    "PUT profiles/<str:profile_id>": edits("PUT", "/profiles/p1", profile("p1", label="New")),
    "PUT run-profiles/<str:run_profile_id>": edits(
        "PUT", "/run-profiles/r1", run_profile("r1", "p1", "a", value_tags=["new"])
    ),
    "POST profiles/<str:profile_id>/revisions/<int:number>/restore": edits(
        "POST",
        "/profiles/p1/revisions/1/restore",
        REASON,
        lambda world: world.profile(label="Newer"),
        2,
    ),
    "POST run-profiles/<str:run_profile_id>/revisions/<int:number>/restore": edits(
        "POST",
        "/run-profiles/r1/revisions/1/restore",
        REASON,
        lambda world: world.run_profile(value_tags=["newer"]),
        2,
    ),
    "POST config/reload": posts("/config/reload", **REASON),
    "POST governance/pause": posts("/governance/pause", **REASON),
    "POST governance/unpause": posts("/governance/unpause", World.paused, **REASON),
    "POST governance/namespaces": posts("/governance/namespaces", by="session", name="new"),
    "POST governance/namespaces/<str:namespace>/halt": posts("/governance/namespaces/a/halt"),
    "POST governance/namespaces/<str:namespace>/halt: one that there wasn't": posts(
        "/governance/namespaces/new/halt", by="session"
    ),
    "POST governance/namespaces/<str:namespace>/halt: one that is drained": posts(
        "/governance/namespaces/a/halt", World.drained, **REASON
    ),
    "POST governance/namespaces/<str:namespace>/drain": posts(
        "/governance/namespaces/a/drain", **REASON
    ),
    "POST governance/namespaces/<str:namespace>/resume": posts(
        "/governance/namespaces/a/resume", World.halted, **REASON
    ),
}
#: Routes that may be called with a body, and change nothing that belongs on record; each with the reason.
SILENT_ROUTES: dict[str, str] = {}

ACTIONS: dict[str, Callable[[World], Model | Any]] = {
    "governance_apitoken_revoke": World.token,
    "governance_loginattempt_unlock": World.locked,
    "governance_operationrun_cancel": lambda world: OperationRun.objects.get(pk=world.operation()),
    "governance_namespace_drain": World.namespace,
    "governance_namespace_halt": World.namespace,
    "governance_namespace_resume": World.halted,
    "orbit_cyclerun_cancel": World.cycle,
    "orbit_cyclerun_run_again": lambda world: CycleRun.objects.get(pk=world.ended()),
    "orbit_profile_disable": World.profile,
    "orbit_profile_enable": lambda world: world.profile(state=ProfileState.DISABLED),
    "orbit_runprofile_disable": World.run_profile,
    "orbit_runprofile_enable": lambda world: world.run_profile(state=ProfileState.DISABLED),
    "orbit_deadletterdispatch_requeue": World.letter,
    "orbit_deadletterdispatch_dismiss": World.letter,
}
#: What an action asks beside the reason.
ASKED: dict[str, dict[str, Any]] = {"orbit_deadletterdispatch_requeue": {"endpoint": "snapshot"}}

FORMS: dict[str, Deed] = {
    "auth_user_add": lambda world: (
        lambda: world.browser.post(
            "/admin/auth/user/add/",
            world.person_form(
                username="new", usable_password="true", password1=PASSWORD, password2=PASSWORD
            ),
        )
    ),
    "auth_user_change": lambda world: (
        lambda: world.browser.post(
            f"/admin/auth/user/{world.victim.pk}/change/", world.person_form()
        )
    ),
    "auth_user_password_change": lambda world: (
        lambda: world.browser.post(
            f"/admin/auth/user/{world.victim.pk}/password/",
            {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD},
        )
    ),
    "password_change": fills(
        "password_change/",
        old_password="a-long-password-1",
        new_password1=PASSWORD,
        new_password2=PASSWORD,
    ),
    "halt": fills("halt/", namespace="a", **REASON),
    "namespace_new": fills("governance/namespace/new/", name="new"),
    "pause": fills("pause/", action="pause", **REASON),
    "pause: its end": fills("pause/", World.paused, action="unpause", **REASON),
    "config_drift: Reload": fills("config/drift/", _reload="1", **REASON),
    "config_drift: Export": fills("config/drift/", _export="1", **REASON),
    "orbit_profile_add": types("orbit/profile/add/", profile_id="p2", label="Two"),
    "orbit_profile_change": types("orbit/profile/{}/change/", World.profile, label="New"),
    "orbit_profile_revision": fills(
        "orbit/profile/{}/history/1/",
        lambda world: world.profile(label="Newer").pk,
        over="2",
        **REASON,
    ),
    "orbit_runprofile_add": types(
        "orbit/runprofile/add/", run_profile_id="r2", profile_id="p1", namespace="a"
    ),
    "orbit_runprofile_change": types(
        "orbit/runprofile/{}/change/", World.run_profile, value_tags="new"
    ),
    "orbit_runprofile_revision": fills(
        "orbit/runprofile/{}/history/1/",
        lambda world: world.run_profile(value_tags=["newer"]).pk,
        over="2",
        **REASON,
    ),
    "orbit_schedule_switch": fills("orbit/schedules/{}/switch/", World.schedule, on="no", **REASON),
    "orbit_schedule_cron": fills(
        "orbit/schedules/{}/cron/", World.schedule, cron="0 7 * * *", **REASON
    ),
    "orbit_cyclerun_trigger": fills(
        "orbit/cyclerun/trigger/", run_profile_id="r1", namespace="", **REASON
    ),
    "orbit_cyclerun_trigger: all that are enabled": fills(
        "orbit/cyclerun/trigger/", run_profile_id="*", namespace="", **REASON
    ),
    "orbit_deadletterdispatch_requeue_matching": fills(
        "orbit/deadletterdispatch/requeue-matching/",
        World.letter,
        endpoint="snapshot",
        rate="10",
        **REASON,
    ),
    "orbit_deadletterdispatch_dismiss_matching": fills(
        "orbit/deadletterdispatch/dismiss-matching/", World.letter, **REASON
    ),
    "token_create": fills(
        "access/tokens/new/", owner="vic", name="n", scopes=["read"], days="9", **REASON
    ),
}
#: Pages that change nothing that belongs on record; each with the reason.
SILENT_PAGES: dict[str, str] = {
    "index": "it is only looked at",
    "app_list": "it is only looked at",
    "jsi18n": "it is a script",
    "autocomplete": "it is only looked at",
    "access": "it is only looked at",
    "banners": "it is only looked at",
    "governance_audittrailentry_changelist": "it is only looked at",
    "governance_audittrailentry_change": "it is only looked at",
    "governance_namespace_changelist": "it is only looked at",
    "governance_namespace_change": "it is only looked at",
    "orbit_cyclerun_changelist": "it is only looked at",
    "orbit_cyclerun_change": "it is only looked at",
    "orbit_cyclerun_compare": "it is only looked at",
    "orbit_deadletterdispatch_changelist": "it is only looked at",
    "orbit_profile_history": "it is only looked at; the way back has an address of its own",
    "orbit_runprofile_history": "it is only looked at; the way back has an address of its own",
    "orbit_valueledgerentry_changelist": "it is only looked at",
    "orbit_schedules": "it is only looked at; its two forms have addresses of their own",
    "orbit_why": "it is only looked at",
    "password_change_done": "it is only looked at",
    "governance_audittrailentry_verify": "it is only looked at",
    "governance_audittrailentry_export": "it is only looked at",
    "login": "a login leaves the person's last login; what fails is told once in a while (tests/governance/access/test_lockout.py)",
    "logout": "it ends a session and nothing else",
}

COMMANDS: dict[str, Deed] = {
    "config export": runs("config", "export"),
    "config reload": runs("config", "reload"),
    "dlq requeue": runs("dlq", "requeue", "{}", "--reason", "r", made=World.letter),
    "dlq dismiss": runs("dlq", "dismiss", "{}", "--reason", "r", made=World.letter),
    "drain": runs("drain", "a", "--reason", "r"),
    "halt": runs("halt", "a"),
    "namespace create": runs("namespace", "create", "new"),
    "operations": runs("operations", "cancel", "{}", "--reason", "r", made=World.operation),
    "pause": runs("pause", "--reason", "r"),
    "rerun": runs("rerun", "{}", "--reason", "r", made=World.ended),
    "rerun: many": runs("rerun", "--all", "--reason", "r", made=World.ended),
    "resume": runs("resume", "a", "--reason", "r", made=World.halted),
    "token create": runs("token", "create", "vic", "--scopes", "read"),
    "token revoke": runs("token", "revoke", "{}", made=lambda world: world.token().prefix),
    "trigger": runs("trigger", "--run-profile", "r1"),
    "trigger: all run profiles": runs("trigger", "--all-run-profiles"),
    "unpause": runs("unpause", "--reason", "r", made=World.paused),
    "user create": runs("user", "create", "new", "--role", "viewer"),
    "user change": runs("user", "change", "vic", "--role", "operator"),
    "user unlock": runs("user", "unlock", "vic", made=World.locked),
}
SILENT_COMMANDS: dict[str, str] = {
    "audit verify": "it reads",
    "audit export": "it reads",
    "config check": "it reads",
    "config diff": "it reads",
    "cycles": "it reads",
    "dlq list": "it reads",
    "token list": "it reads",
    "user list": "it reads",
    "health": "it reads",
    "namespace show": "it reads",
    "why": "it reads",
    "backup": "its entry backup.made needs a real server (tests/site/backup/test_make.py)",
    "restore": "its entry backup.restored needs a real server (tests/site/backup/test_load.py)",
    "migrate": "it changes the schema, not what somebody did; the trail's own table may not be there yet",
    "cluster": "a process; what it does is done by others' deeds",
    "qcluster": "a process; what it does is done by others' deeds",
    "web": "a process; what it does is done by others' deeds",
    "up": "a process; what it does is done by others' deeds",
}

#: What may change something, but here finds it so already, or is only asked what it would do.
NOTHING: dict[str, Deed] = {
    "a look at a re-run": posts("/cycles/{}/rerun", World.ended, dry_run=True),
    "a look at many re-runs": posts("/cycles/rerun", World.ended, filter={}, dry_run=True),
    "a look at a re-run by command": runs("rerun", "{}", "--dry-run", made=World.ended),
    "a second halt": posts("/governance/namespaces/a/halt", World.halted),
    "the resumption of what runs": posts("/governance/namespaces/a/resume", **REASON),
    "a second pause for the same reason": posts("/governance/pause", World.paused, reason="r"),
    "the end of no pause": posts("/governance/unpause", **REASON),
    "a document that stands already": edits("PUT", "/profiles/p1", profile("p1")),
    "a document that is restored where it stands": edits(
        "POST", "/run-profiles/r1/revisions/1/restore", REASON
    ),
    "the editor's Preview": types(
        "orbit/profile/{}/change/", World.profile, _preview="1", label="New"
    ),
    "a form that is saved as it came": types("orbit/runprofile/{}/change/", World.run_profile),
    "the cron that stands already": fills(
        "orbit/schedules/{}/cron/", World.schedule, cron="0 6 * * *", **REASON
    ),
    "a schedule that is on already": fills(
        "orbit/schedules/{}/switch/", World.schedule, on="yes", **REASON
    ),
}
