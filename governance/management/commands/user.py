"""``manage.py user create|change|unlock|list``: the users of the console."""

import getpass
import sys
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import CommandParser

from governance.access import actors, lockout, users
from governance.access.roles import ROLES
from governance.access.users import UserAccess, UserExists, UserInvalid
from governance.kernel.commands import OrbitCommand

_COLUMNS = "{username:<24}{active:<9}{roles:<32}{namespaces:<32}{last_login}"
_MAX_LISTED = 10_000


class Command(OrbitCommand):
    help = "Create, list, change and unlock users of the console."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        roles = [role.lower() for role in ROLES]
        create = verbs.add_parser(
            "create",
            help="Create a user. The password is read from ORBIT_PASSWORD or asked for.",
        )
        create.add_argument("name")
        create.add_argument("--role", required=True, choices=roles)
        create.add_argument(
            "--namespaces",
            help="The namespaces that the user sees, comma separated. Empty: none. "
            "Without this the user sees the whole workspace.",
        )
        create.add_argument(
            "--superuser", action="store_true", help="Grant every permission, whatever the role."
        )
        create.add_argument(
            "--if-missing", action="store_true", help="Succeed without a change if the user exists."
        )
        change = verbs.add_parser(
            "change", help="Change a user's permissions, from their next request on."
        )
        change.add_argument("name")
        change.add_argument("--role", choices=roles, help="The user's one role from now on.")
        sight = change.add_mutually_exclusive_group()
        sight.add_argument(
            "--namespaces",
            help="The only namespaces that the user sees, comma separated. Empty: none.",
        )
        sight.add_argument(
            "--whole-workspace", action="store_true", help="Let the user see the whole workspace."
        )
        change.add_argument(
            "--active",
            choices=["yes", "no"],
            help="`no`: the user can't log in, and their tokens stop working.",
        )
        unlock = verbs.add_parser(
            "unlock", help="Unlock a user who entered too many wrong passwords."
        )
        unlock.add_argument("name")
        listing = verbs.add_parser("list", help="List all users.")
        for verb in (change, unlock):
            verb.add_argument("--reason", default="")
        for verb in (create, change, unlock, listing):
            verb.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        {
            "create": self._create,
            "change": self._change,
            "unlock": self._unlock,
            "list": self._list,
        }[options["verb"]](options)

    def _create(self, options: dict[str, Any]) -> None:
        name: str = options["name"]
        try:
            _create_user(name, options)
        except UserExists:
            if not options["if_missing"]:
                raise
            created = False
        else:
            created = True
        if options["json"]:
            self.print_json({"username": name, "created": created})
        else:
            done = f"created, sees {_sight(options)}" if created else "exists already, not changed"
            self.say(f"user {name}: {done}")

    def _change(self, options: dict[str, Any]) -> None:
        role, namespaces, active = options["role"], options["namespaces"], options["active"]
        user = users.change(
            options["name"],
            actor=actors.operator(),
            reason=options["reason"],
            role=None if role is None else role.capitalize(),
            namespaces=None if namespaces is None else _names(namespaces),
            whole_workspace=options["whole_workspace"],
            active=None if active is None else active == "yes",
        )
        if options["json"]:
            self.print_json(user.to_dict())
        else:
            self._print_table([user])

    def _unlock(self, options: dict[str, Any]) -> None:
        name: str = options["name"]
        addresses = lockout.unlock(name, actor=actors.operator(), reason=options["reason"])
        if options["json"]:
            self.print_json({"username": name, "unlocked": True, "addresses": addresses})
        else:
            plural = "" if addresses == 1 else "es"
            self.say(f"user {name}: unlocked, from {addresses} address{plural}")

    def _list(self, options: dict[str, Any]) -> None:
        all_users = users.by_name(limit=_MAX_LISTED)
        if options["json"]:
            results = [{**user.to_dict(), "last_login": user.last_login} for user in all_users]
            self.print_json({"results": results})
        else:
            self._print_table(all_users)

    def _print_table(self, rows: list[UserAccess]) -> None:
        self.say_row(
            _COLUMNS,
            username="user",
            active="active",
            roles="roles",
            namespaces="namespaces",
            last_login="last login",
        )
        for user in rows:
            roles = ", ".join(user.roles) or "none"
            self.say_row(
                _COLUMNS,
                username=user.username,
                active="yes" if user.active else "no",
                roles=f"{roles}, superuser" if user.superuser else roles,
                namespaces="all"
                if user.namespaces is None
                else ", ".join(user.namespaces) or "none",
                last_login=f"{user.last_login:%Y-%m-%d %H:%M}" if user.last_login else "never",
            )


def _create_user(name: str, options: dict[str, Any]) -> None:
    # Look first, so that a password is asked for only if it is needed.
    if User.objects.filter(username=name).exists():
        raise UserExists(f"There is a user {name!r} already.")
    users.create(
        name,
        role=options["role"].capitalize(),
        password=_password(name),
        namespaces=None if options["namespaces"] is None else _names(options["namespaces"]),
        actor=actors.operator(),
        superuser=options["superuser"],
    )


def _sight(options: dict[str, Any]) -> str:
    if options["namespaces"] is None:
        return "the whole workspace"
    names = _names(options["namespaces"])
    return f"only {', '.join(names)}" if names else "no namespace"


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _password(name: str) -> str:
    password: str = settings.ORBIT_PASSWORD
    if password:
        return password
    if not sys.stdin.isatty():
        raise UserInvalid("No password. Set ORBIT_PASSWORD, or run this on a terminal.")
    password = getpass.getpass(f"Password for {name}: ")
    if getpass.getpass("Again: ") != password:
        raise UserInvalid("The two passwords differ.")
    return password
