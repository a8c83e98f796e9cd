"""``manage.py token create NAME --scopes read,operate``, ``token list``, ``token revoke TOKEN``."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandParser

from governance.access import actors, tokens
from governance.access.roles import SCOPES
from governance.access.users import UserUnknown
from governance.kernel.commands import OrbitCommand

_COLUMNS = "{id:<8}{prefix:<18}{owner:<20}{name:<24}{scopes:<32}{state:<16}{used}"
_MAX_LISTED = 10_000


class Command(OrbitCommand):
    help = "Create, list and revoke API tokens."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser(
            "create", help="Create a token for the user NAME and print it. It isn't shown again."
        )
        create.add_argument(
            "name",
            help="The user who owns the token. It never has more permissions than its owner.",
        )
        create.add_argument(
            "--scopes", required=True, help=f"Comma separated, of: {', '.join(SCOPES)}."
        )
        create.add_argument(
            "--namespaces",
            help="Namespaces to confine the token to, comma separated. Default: its owner's.",
        )
        create.add_argument(
            "--expires", type=int, metavar="DAYS", help="Days until it expires. Default: never."
        )
        create.add_argument("--label", default="", help="What the token is for.")
        listing = verbs.add_parser("list", help="List the newest tokens with their last use.")
        listing.add_argument(
            "--limit", type=int, default=200, help=f"How many (200; at most {_MAX_LISTED})."
        )
        revoke = verbs.add_parser(
            "revoke", help="Revoke a token. It stops working with the next request."
        )
        revoke.add_argument(
            "token", help="Its number, or its first characters as `token list` shows them."
        )
        revoke.add_argument("--reason", default="")
        for verb in (create, listing, revoke):
            verb.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        verbs = {"create": self._create, "list": self._list, "revoke": self._revoke}
        verbs[options["verb"]](options)

    def _create(self, options: dict[str, Any]) -> None:
        owner = User.objects.filter(username=options["name"]).first()
        if owner is None:
            raise UserUnknown(
                f"There is no user {options['name']!r}. Create one with `manage.py user create`."
            )
        token, raw = tokens.create(
            owner,
            scopes=_names(options["scopes"]),
            actor=actors.operator(),
            namespaces=None if options["namespaces"] is None else _names(options["namespaces"]),
            name=options["label"],
            expires_at=tokens.expiry(options["expires"]),
        )
        if options["json"]:
            self.print_json(
                {
                    "token": raw,
                    "prefix": token.prefix,
                    "scopes": token.scopes,
                    "namespaces": token.namespaces,
                    "expires_at": token.expires_at,
                }
            )
        else:
            self.warn(
                f"Token of {owner.username} for {', '.join(token.scopes)}. "
                "Copy it now; it won't be shown again:"
            )
            # Alone on standard output, so that a script can read it.
            self.say(raw)

    def _list(self, options: dict[str, Any]) -> None:
        limit = max(1, min(options["limit"], _MAX_LISTED))
        rows = [tokens.to_dict(token) for token in tokens.newest(limit=limit)]
        if options["json"]:
            self.print_json({"results": rows})
            return
        self.say_row(
            _COLUMNS,
            id="token",
            prefix="begins",
            owner="owner",
            name="label",
            scopes="scopes",
            state="state",
            used="last used",
        )
        for row in rows:
            last_use = row["last_used_at"]
            used = "never" if last_use is None else f"{last_use:%Y-%m-%d %H:%M}"
            if row["unused"]:
                used += f", not for {tokens.UNUSED_DAYS} days"
            self.say_row(_COLUMNS, **{**row, "scopes": ", ".join(row["scopes"]), "used": used})

    def _revoke(self, options: dict[str, Any]) -> None:
        token = tokens.find(options["token"])
        revoked = tokens.revoke(token, actor=actors.operator(), reason=options["reason"])
        if options["json"]:
            self.print_json({"id": token.pk, "prefix": token.prefix, "revoked": revoked})
        else:
            result = "revoked" if revoked else "was revoked already"
            self.say(f"token {token.prefix}... of {token.owner.username}: {result}")


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
