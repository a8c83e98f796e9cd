"""``manage.py user create NAME --role ROLE``."""

import getpass
import sys
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandParser
from django.db import IntegrityError

from governance.access import actors
from governance.access.actors import NamespaceUnknown
from governance.access.roles import ROLES
from governance.audit import trail
from governance.kernel.commands import OrbitCommand
from governance.kernel.errors import Kind, OrbitError
from governance.models import Namespace, NamespaceGrant


class UserExists(OrbitError):
    """There is a user of this name already."""

    code, kind = "user_exists", Kind.CONFLICT


class UserInvalid(OrbitError):
    """This name or password can't be taken."""

    code, kind = "invalid_user", Kind.INVALID


class Command(OrbitCommand):
    help = "Makes people who may log in to the console."

    def add_arguments(self, parser: CommandParser) -> None:
        deeds = parser.add_subparsers(dest="deed", required=True)
        create = deeds.add_parser("create", help="Make a user. The password is read from ORBIT_PASSWORD or asked for.")
        create.add_argument("name")
        create.add_argument("--role", required=True, choices=[role.lower() for role in ROLES])
        create.add_argument("--namespaces", default="", help="The namespaces that they are confined to, comma separated. Left out: none, they see all.")
        create.add_argument("--superuser", action="store_true", help="They may do everything, whatever their role.")
        create.add_argument("--if-missing", action="store_true", help="Leave a user who exists as they are, and call it done.")
        create.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        name: str = options["name"]
        made = not User.objects.filter(username=name).exists()
        if made:
            namespaces = [part.strip() for part in options["namespaces"].split(",") if part.strip()]
            create(name, role=options["role"].capitalize(), password=_password(name), namespaces=namespaces, superuser=options["superuser"])
        elif not options["if_missing"]:
            raise UserExists(f"There is a user {name!r} already.")
        if options["json"]:
            self.print_json({"username": name, "created": made})
        else:
            self.say(f"user {name}: {'created' if made else 'exists already, left as it is'}")


def create(name: str, *, role: str, password: str, namespaces: list[str], superuser: bool = False) -> User:
    """Make the user with one role, audited. Raises UserInvalid, UserExists, NamespaceUnknown; then nothing is kept."""
    user = User(username=name, is_staff=True, is_superuser=superuser)
    try:
        user.clean_fields(exclude=["password"])
        validate_password(password, user)
    except ValidationError as error:
        raise UserInvalid(" ".join(error.messages)) from None
    user.set_password(password)
    found = {namespace.name: namespace for namespace in Namespace.objects.filter(name__in=namespaces)}
    for namespace in namespaces:
        if namespace not in found:
            raise NamespaceUnknown(f"There is no namespace {namespace!r}.")
    try:
        with trail.deed():
            user.save()
            user.groups.add(Group.objects.get(name=role))
            NamespaceGrant.objects.bulk_create(NamespaceGrant(user=user, namespace=namespace) for namespace in found.values())
            after = {"username": name, "role": role, "superuser": superuser, "namespaces": sorted(found) or None}
            trail.record("user.changed", actor=actors.operator().name, object_type="user", object_id=str(user.pk), after=after)
    except IntegrityError:
        raise UserExists(f"There is a user {name!r} already.") from None
    return user


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
