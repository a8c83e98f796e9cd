"""``manage.py user``: people who may log in to the console."""

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
_MOST = 10_000


class Command(OrbitCommand):
    help = "Makes, lists, changes and unlocks people who may log in to the console."

    def add_arguments(self, parser: CommandParser) -> None:
        deeds = parser.add_subparsers(dest="deed", required=True)
        roles = [role.lower() for role in ROLES]
        create = deeds.add_parser(
            "create", help="Make a user. The password is read from ORBIT_PASSWORD or asked for."
        )
        create.add_argument("name")
        create.add_argument("--role", required=True, choices=roles)
        create.add_argument(
            "--namespaces",
            default="",
            help="The namespaces that they are confined to, comma separated. Left out: none, they see all.",
        )
        create.add_argument(
            "--superuser", action="store_true", help="They may do everything, whatever their role."
        )
        create.add_argument(
            "--if-missing",
            action="store_true",
            help="Leave a user who exists as they are, and call it done.",
        )
        change = deeds.add_parser(
            "change", help="Change what a user may; it holds from their next request on."
        )
        change.add_argument("name")
        change.add_argument("--role", choices=roles, help="Their one role from now on.")
        change.add_argument(
            "--namespaces",
            help="The namespaces that they are confined to, comma separated; empty: they see all.",
        )
        change.add_argument(
            "--active",
            choices=["yes", "no"],
            help="`no`: they can't log in, and their tokens work no more.",
        )
        unlock = deeds.add_parser(
            "unlock",
            help="Let a user try passwords again, who is locked out after too many wrong ones.",
        )
        unlock.add_argument("name")
        listed = deeds.add_parser("list", help="List everybody.")
        for deed in (change, unlock):
            deed.add_argument("--reason", default="")
        for deed in (create, change, unlock, listed):
            deed.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        {
            "create": self._create,
            "change": self._change,
            "unlock": self._unlock,
            "list": self._list,
        }[options["deed"]](options)

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
            self.say(f"user {name}: {'created' if created else 'exists already, left as it is'}")

    def _change(self, options: dict[str, Any]) -> None:
        role, namespaces, active = options["role"], options["namespaces"], options["active"]
        changed = users.change(
            options["name"],
            actor=actors.operator(),
            reason=options["reason"],
            role=None if role is None else role.capitalize(),
            namespaces=None if namespaces is None else _names(namespaces),
            active=None if active is None else active == "yes",
        )
        if options["json"]:
            self.print_json(changed.document())
        else:
            self._say([changed])

    def _unlock(self, options: dict[str, Any]) -> None:
        addresses = lockout.unlock(
            options["name"], actor=actors.operator(), reason=options["reason"]
        )
        if options["json"]:
            self.print_json({"username": options["name"], "unlocked": True, "addresses": addresses})
        else:
            self.say(
                f"user {options['name']}: unlocked, from {addresses} address{'es' if addresses != 1 else ''}"
            )

    def _list(self, options: dict[str, Any]) -> None:
        found = users.listed(limit=_MOST)
        if options["json"]:
            self.print_json(
                {
                    "results": [
                        {**person.document(), "last_login": person.last_login} for person in found
                    ]
                }
            )
        else:
            self._say(found)

    def _say(self, found: list[UserAccess]) -> None:
        self.say(
            _COLUMNS.format(
                username="user",
                active="active",
                roles="roles",
                namespaces="namespaces",
                last_login="last login",
            )
        )
        for person in found:
            roles = ", ".join(person.roles) or "none"
            self.say(
                _COLUMNS.format(
                    username=person.username,
                    active="yes" if person.active else "no",
                    roles=f"{roles}, superuser" if person.superuser else roles,
                    namespaces="all" if person.namespaces is None else ", ".join(person.namespaces),
                    last_login="never"
                    if person.last_login is None
                    else f"{person.last_login:%Y-%m-%d %H:%M}",
                )
            )


def _create_user(name: str, options: dict[str, Any]) -> None:
    # Look first, so that a password is asked for only if it is needed.
    if User.objects.filter(username=name).exists():
        raise UserExists(f"There is a user {name!r} already.")
    users.create(
        name,
        role=options["role"].capitalize(),
        password=_password(name),
        namespaces=_names(options["namespaces"]),
        actor=actors.operator(),
        superuser=options["superuser"],
    )


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _password(name: str) -> str:
    """Return the new password. Raises UserInvalid where there is neither the variable nor somebody to ask."""
    given: str = settings.ORBIT_PASSWORD
    if given:
        return given
    if not sys.stdin.isatty():
        raise UserInvalid("No password. Set ORBIT_PASSWORD, or run this on a terminal.")
    first = getpass.getpass(f"Password for {name}: ")
    if getpass.getpass("Again: ") != first:
        raise UserInvalid("The two passwords differ.")
    return first
