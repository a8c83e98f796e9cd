"""``manage.py token create NAME --scopes read,operate``, ``token list``, ``token revoke TOKEN``."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandParser

from governance.access import actors, tokens
from governance.access.roles import SCOPES
from governance.access.users import UserUnknown
from governance.kernel.commands import OrbitCommand

_COLUMNS = "{id:<8}{prefix:<18}{owner:<20}{name:<24}{scopes:<32}{state:<16}{used}"
_MOST = 10_000


class Command(OrbitCommand):
    help = "Makes, lists and revokes API tokens."

    def add_arguments(self, parser: CommandParser) -> None:
        deeds = parser.add_subparsers(dest="deed", required=True)
        create = deeds.add_parser(
            "create", help="Make a token for the user NAME and print it; it is never shown again."
        )
        create.add_argument(
            "name", help="The user who owns it; it may never do more than they may."
        )
        create.add_argument(
            "--scopes", required=True, help=f"Comma separated, of: {', '.join(SCOPES)}."
        )
        create.add_argument(
            "--namespaces",
            help="The namespaces that it is confined to, comma separated. Left out: those of its owner.",
        )
        create.add_argument(
            "--expires", type=int, metavar="DAYS", help="When it ends. Left out: never."
        )
        create.add_argument("--label", default="", help="What it is for.")
        listed = deeds.add_parser("list", help="List the newest, with their last use.")
        listed.add_argument(
            "--limit", type=int, default=200, help=f"How many (200; at most {_MOST})."
        )
        revoke = deeds.add_parser(
            "revoke", help="End a token; it works no more from the next request on."
        )
        revoke.add_argument(
            "token", help="Its number, or its first characters as `token list` shows them."
        )
        revoke.add_argument("--reason", default="")
        for deed in (create, listed, revoke):
            deed.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        {"create": self._create, "list": self._list, "revoke": self._revoke}[options["deed"]](
            options
        )

    def _create(self, options: dict[str, Any]) -> None:
        owner = User.objects.filter(username=options["name"]).first()
        if owner is None:
            raise UserUnknown(
                f"There is no user {options['name']!r}. Make one with `manage.py user create`."
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
            self.stderr.write(
                f"token of {owner.username} for {', '.join(token.scopes)}; it is shown this once:"
            )
            self.say(raw)

    def _list(self, options: dict[str, Any]) -> None:
        found = [
            tokens.document(token)
            for token in tokens.listed(limit=max(1, min(options["limit"], _MOST)))
        ]
        if options["json"]:
            self.print_json({"results": found})
            return
        self.say(
            _COLUMNS.format(
                id="token",
                prefix="begins",
                owner="owner",
                name="label",
                scopes="scopes",
                state="state",
                used="last used",
            )
        )
        for row in found:
            used = (
                "never" if row["last_used_at"] is None else f"{row['last_used_at']:%Y-%m-%d %H:%M}"
            )
            shown = {
                **row,
                "scopes": ", ".join(row["scopes"]),
                "used": f"{used}, not for {tokens.UNUSED_DAYS} days" if row["unused"] else used,
            }
            self.say(_COLUMNS.format(**shown))

    def _revoke(self, options: dict[str, Any]) -> None:
        token = tokens.find(options["token"])
        ended = tokens.revoke(token, actor=actors.operator(), reason=options["reason"])
        if options["json"]:
            self.print_json({"id": token.pk, "prefix": token.prefix, "revoked": ended})
        else:
            self.say(
                f"token {token.prefix}... of {token.owner.username}: {'revoked' if ended else 'had been revoked already'}"
            )


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
