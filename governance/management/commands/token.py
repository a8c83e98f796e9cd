"""``manage.py token create NAME --scopes read,operate``."""

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandParser
from django.utils import timezone

from governance.access import actors, tokens
from governance.access.actors import NamespaceUnknown
from governance.access.roles import SCOPES
from governance.kernel.commands import OrbitCommand
from governance.kernel.errors import Kind, OrbitError
from governance.models import Namespace


class OwnerUnknown(OrbitError):
    """There is no such user."""

    code, kind = "unknown_user", Kind.MISSING


class ExpiryInvalid(OrbitError):
    """A token lives for 1 to 3650 days."""

    code, kind = "invalid_expiry", Kind.INVALID


class Command(OrbitCommand):
    help = "Makes API tokens."

    def add_arguments(self, parser: CommandParser) -> None:
        deeds = parser.add_subparsers(dest="deed", required=True)
        create = deeds.add_parser("create", help="Make a token for the user NAME and print it; it is never shown again.")
        create.add_argument("name", help="The user who owns it; it may never do more than they may.")
        create.add_argument("--scopes", required=True, help=f"Comma separated, of: {', '.join(SCOPES)}.")
        create.add_argument("--namespaces", help="The namespaces that it is confined to, comma separated. Left out: those of its owner.")
        create.add_argument("--expires", type=int, metavar="DAYS", help="When it ends. Left out: never.")
        create.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        owner = User.objects.filter(username=options["name"]).first()
        if owner is None:
            raise OwnerUnknown(f"There is no user {options['name']!r}. Make one with `manage.py user create`.")
        days: int | None = options["expires"]
        if days is not None and not 0 < days <= 3650:
            raise ExpiryInvalid
        namespaces = None if options["namespaces"] is None else _names(options["namespaces"])
        known = set(Namespace.objects.filter(name__in=namespaces or []).values_list("name", flat=True))
        for namespace in namespaces or []:
            if namespace not in known:
                raise NamespaceUnknown(f"There is no namespace {namespace!r}.")
        token, raw = tokens.create(
            owner,
            scopes=_names(options["scopes"]),
            actor=actors.operator(),
            namespaces=namespaces,
            expires_at=None if days is None else timezone.now() + timedelta(days=days),
        )
        if options["json"]:
            self.print_json({"token": raw, "prefix": token.prefix, "scopes": token.scopes, "namespaces": token.namespaces, "expires_at": token.expires_at})
        else:
            self.stderr.write(f"token of {owner.username} for {', '.join(token.scopes)}; it is shown this once:")
            self.say(raw)


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
