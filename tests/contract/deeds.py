"""How each deed is done, by route, page, action and command, and which leave nothing on the audit trail, and why.

To add a route: a line in ``ROUTES`` that calls it with real objects, or one in ``SILENT_ROUTES`` with the reason.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from governance.access import tokens
from governance.access.actors import SYSTEM
from governance.models import LoginAttempt, OperationRun
from orbit.dispatch import bulk
from tests.support.callers import Api, api, person
from tests.support.callers import console as browser_of
from tests.support.configuration import active_cycle
from tests.support.letters import letters

PASSWORD = "another-long-1"
REASON = {"reason": "because"}


class World:
    """Somebody who may do everything, in each way, over a configured installation; and objects to do it to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = person("root", "Administrator")
        User.objects.filter(pk=self.root.pk).update(is_superuser=True)
        self.victim = person("vic", "Viewer")
        self.api: Api = api(self.root)
        self.browser: Client = browser_of(self.root)

    def cycle(self) -> Any:
        return active_cycle("a")

    def letter(self) -> Any:
        return letters(1)[0]

    def operation(self) -> Any:
        letters(1)
        return bulk.dismiss(bulk.Filter(), actor=SYSTEM, reason="r").run_id

    def token(self) -> Any:
        return tokens.create(self.victim, scopes=["read"], actor=SYSTEM)[0]

    def locked(self) -> LoginAttempt:
        now = timezone.now()
        return LoginAttempt.objects.create(name="vic", address="192.0.2.7", failures=5, since=now, ends_at=now)

    def person_form(self, **changes: Any) -> dict[str, Any]:
        operator = Group.objects.get(name="Operator")
        return {"username": "vic", "is_active": "on", "is_staff": "on", "groups": [operator.pk], "namespace_grants-TOTAL_FORMS": "0",
                "namespace_grants-INITIAL_FORMS": "0", **changes}  # fmt: skip


#: Makes what the deed is done to, and returns the deed itself, which returns the answer.
Deed = Callable[[World], Callable[[], Any]]


def posts(path: str, made: Callable[[World], Any] | None = None, **body: Any) -> Deed:
    """The deed of a POST with ``body`` to ``path``, in which ``{}`` stands for the id of what ``made`` makes."""

    def prepare(world: World) -> Callable[[], Any]:
        known = "" if made is None else str(made(world))
        return lambda: world.api.post(path.format(known), body)

    return prepare


def fills(path: str, made: Callable[[World], Any] | None = None, **fields: Any) -> Deed:
    """The deed of a form of the console."""

    def prepare(world: World) -> Callable[[], Any]:
        known = "" if made is None else str(made(world))
        return lambda: world.browser.post(f"/admin/{path.format(known)}", fields)

    return prepare


def runs(*words: str, made: Callable[[World], Any] | None = None) -> Deed:
    """The deed of a command, in whose words ``{}`` stands for what ``made`` makes."""

    def prepare(world: World) -> Callable[[], Any]:
        known = "" if made is None else str(made(world))
        return lambda: call_command(*(word.format(known) for word in words))

    return prepare


ROUTES: dict[str, Deed] = {
    "POST cycles/trigger": posts("/cycles/trigger"),
    "POST cycles/<uuid:cycle_id>/cancel": posts("/cycles/{}/cancel", lambda world: world.cycle().pk, **REASON),
    "POST dead-letters/<uuid:letter_id>/requeue": posts("/dead-letters/{}/requeue", World.letter, **REASON),
    "POST dead-letters/<uuid:letter_id>/dismiss": posts("/dead-letters/{}/dismiss", World.letter, **REASON),
    "POST dead-letters/requeue": posts("/dead-letters/requeue", World.letter, filter={}, **REASON),
    "POST dead-letters/dismiss": posts("/dead-letters/dismiss", World.letter, filter={}, **REASON),
    "POST operations/<uuid:run_id>/cancel": posts("/operations/{}/cancel", World.operation, **REASON),
}
#: Routes that may be called with a body, and change nothing that belongs on record; each with the reason.
SILENT_ROUTES: dict[str, str] = {}

ACTIONS: dict[str, Callable[[World], Model | Any]] = {
    "governance_apitoken_revoke": World.token,
    "governance_loginattempt_unlock": World.locked,
    "governance_operationrun_cancel": lambda world: OperationRun.objects.get(pk=world.operation()),
    "orbit_cyclerun_cancel": World.cycle,
    "orbit_deadletterdispatch_requeue": World.letter,
    "orbit_deadletterdispatch_dismiss": World.letter,
}
#: What an action asks beside the reason.
ASKED: dict[str, dict[str, Any]] = {"orbit_deadletterdispatch_requeue": {"endpoint": "snapshot"}}

FORMS: dict[str, Deed] = {
    "auth_user_add": lambda world: lambda: world.browser.post(
        "/admin/auth/user/add/", world.person_form(username="new", usable_password="true", password1=PASSWORD, password2=PASSWORD)
    ),
    "auth_user_change": lambda world: lambda: world.browser.post(f"/admin/auth/user/{world.victim.pk}/change/", world.person_form()),
    "auth_user_password_change": lambda world: lambda: world.browser.post(
        f"/admin/auth/user/{world.victim.pk}/password/", {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    ),
    "password_change": fills("password_change/", old_password="a-long-password-1", new_password1=PASSWORD, new_password2=PASSWORD),
    "orbit_cyclerun_trigger": fills("orbit/cyclerun/trigger/", run_profile_id="r1", namespace="", **REASON),
    "orbit_deadletterdispatch_requeue_matching": fills(
        "orbit/deadletterdispatch/requeue-matching/", World.letter, endpoint="snapshot", rate="10", **REASON
    ),
    "orbit_deadletterdispatch_dismiss_matching": fills("orbit/deadletterdispatch/dismiss-matching/", World.letter, **REASON),
    "token_create": fills("access/tokens/new/", owner="vic", name="n", scopes=["read"], days="9", **REASON),
}
#: Pages that change nothing that belongs on record; each with the reason.
SILENT_PAGES: dict[str, str] = {
    "index": "it is only looked at",
    "app_list": "it is only looked at",
    "jsi18n": "it is a script",
    "autocomplete": "it is only looked at",
    "access": "it is only looked at",
    "password_change_done": "it is only looked at",
    "governance_audittrailentry_verify": "it is only looked at",
    "governance_audittrailentry_export": "it is only looked at",
    "login": "a login leaves the person's last login; what fails is told once in a while (tests/governance/access/test_lockout.py)",
    "logout": "it ends a session and nothing else",
}

COMMANDS: dict[str, Deed] = {
    "config reload": runs("config", "reload"),
    "dlq requeue": runs("dlq", "requeue", "{}", "--reason", "r", made=World.letter),
    "dlq dismiss": runs("dlq", "dismiss", "{}", "--reason", "r", made=World.letter),
    "operations": runs("operations", "cancel", "{}", "--reason", "r", made=World.operation),
    "token create": runs("token", "create", "vic", "--scopes", "read"),
    "token revoke": runs("token", "revoke", "{}", made=lambda world: world.token().prefix),
    "trigger": runs("trigger", "--run-profile", "r1"),
    "user create": runs("user", "create", "new", "--role", "viewer"),
    "user change": runs("user", "change", "vic", "--role", "operator"),
    "user unlock": runs("user", "unlock", "vic", made=World.locked),
}
SILENT_COMMANDS: dict[str, str] = {
    "audit verify": "it reads",
    "audit export": "it reads",
    "config check": "it reads",
    "config diff": "it reads",
    "config export": "it writes files, not what runs",
    "cycles": "it reads",
    "dlq list": "it reads",
    "token list": "it reads",
    "user list": "it reads",
    "health": "it reads",
    "backup": "its entry backup.made needs a real server (tests/site/backup/test_make.py)",
    "restore": "its entry backup.restored needs a real server (tests/site/backup/test_load.py)",
    "migrate": "it changes the schema, not what somebody did; the trail's own table may not be there yet",
    "cluster": "a process; what it does is done by others' deeds",
    "qcluster": "a process; what it does is done by others' deeds",
    "web": "a process; what it does is done by others' deeds",
    "up": "a process; what it does is done by others' deeds",
}
