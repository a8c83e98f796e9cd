"""``manage.py dlq``: the dead letters."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from governance.access import actors
from governance.kernel.commands import OrbitCommand
from governance.kernel.errors import Kind, OrbitError
from governance.operations import wait_for_run
from governance.rest import queries
from orbit.dispatch import bulk, dead_letters, error_groups
from orbit.dispatch.bulk import Wanted
from orbit.errors import LetterUnknown
from orbit.models import DeadLetterDispatch
from orbit.states import Letter

_COLUMNS = "{id:<37}{namespace:<17}{endpoint_key:<21}{attempts:<9}{error}"
_GROUP_COLUMNS = "{group:<18}{endpoint_key:<21}{count:<9}{error}"
_READERS: dict[str, queries.Reader] = {
    "namespace": queries.text,
    "endpoint_key": queries.text,
    "group": queries.text,
    "reason": queries.text,
    "cycle_run_id": queries.identifier,
    "created_after": queries.moment,
    "created_before": queries.moment,
}


class ReasonMissing(OrbitError):
    """A deed needs a reason in words, at most 2000 characters."""

    code, kind = "invalid_reason", Kind.INVALID


class LettersUnclear(OrbitError):
    """Name letters by their ids, or by --filter or --group, or say --all."""

    code, kind = "invalid_selection", Kind.INVALID


class Command(OrbitCommand):
    help = "Lists deliveries that were given up, sends them again, or dismisses them."

    def add_arguments(self, parser: CommandParser) -> None:
        deeds = parser.add_subparsers(dest="deed", required=True)
        listed = deeds.add_parser("list", help="List the newest.")
        listed.add_argument(
            "--status", choices=[str(state) for state in Letter], default=str(Letter.OPEN)
        )
        listed.add_argument("--group", help="Those of one group.")
        listed.add_argument(
            "--groups",
            action="store_true",
            help="List the groups of the open ones instead, largest first.",
        )
        listed.add_argument("--limit", type=int, default=50, help="How many (50; at most 1000).")
        listed.add_argument("--json", action="store_true")
        requeue = deeds.add_parser(
            "requeue", help="Make a new delivery job of one, or of many by an operation run."
        )
        requeue.add_argument(
            "--endpoint",
            choices=["snapshot", "current"],
            default="snapshot",
            help="The endpoint as it was then (snapshot) or as it is now.",
        )
        requeue.add_argument(
            "--new-key",
            action="store_true",
            help="A new delivery id, so that the receiver takes it for another delivery.",
        )
        dismiss = deeds.add_parser(
            "dismiss", help="Close one, or many by an operation run, without sending."
        )
        for deed, rate in ((requeue, bulk.RATE), (dismiss, bulk.FASTEST)):
            deed.add_argument("id", nargs="*", help=f"One letter, or up to {bulk.MOST_IDS}.")
            deed.add_argument(
                "--filter",
                action="append",
                default=[],
                metavar="NAME=VALUE",
                help=f"Open ones; again for more: {', '.join(_READERS)}.",
            )
            deed.add_argument("--group", help="Open ones of this group.")
            deed.add_argument("--all", action="store_true", help="All that are open.")
            deed.add_argument(
                "--rate",
                type=int,
                default=rate,
                help=f"With many: letters a second ({rate}; at most {bulk.FASTEST}).",
            )
            deed.add_argument(
                "--wait",
                action="store_true",
                help="With many: wait for the end; exit with 0 only where none failed.",
            )
            deed.add_argument("--reason", required=True)
            deed.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["deed"] == "list":
            self._groups(options) if options["groups"] else self._list(options)
            return
        if not options["reason"].strip() or len(options["reason"]) > 2000:
            raise ReasonMissing
        wanted = _wanted(options)
        if not isinstance(wanted, bulk.Filter) and len(wanted) == 1:
            self._one(wanted[0], options)
        else:
            self._many(wanted, options)

    def _one(self, letter_id: UUID, options: dict[str, Any]) -> None:
        actor, reason = actors.operator(), options["reason"]
        if options["deed"] == "dismiss":
            dead_letters.dismiss(letter_id, actor=actor, reason=reason)
            answer, said = (
                {"id": letter_id, "status": Letter.DISMISSED},
                f"dead letter {letter_id} dismissed",
            )
        else:
            job = dead_letters.requeue(
                letter_id,
                actor=actor,
                reason=reason,
                endpoint=options["endpoint"],
                new_key=options["new_key"],
            )
            answer, said = (
                {"dispatch_job_id": job},
                f"dead letter {letter_id} requeued as job {job}",
            )
        if options["json"]:
            self.print_json(answer)
        else:
            self.say(said)

    def _many(self, wanted: Wanted, options: dict[str, Any]) -> None:
        actor, reason, rate = actors.operator(), options["reason"], options["rate"]
        if options["deed"] == "dismiss":
            started = bulk.dismiss(wanted, actor=actor, reason=reason, rate=rate)
        else:
            started = bulk.requeue(
                wanted,
                actor=actor,
                reason=reason,
                rate=rate,
                endpoint=options["endpoint"],
                new_key=options["new_key"],
            )
        if options["wait"]:
            wait_for_run.report(self, wait_for_run.until_ended(self, started.run_id), options)
        elif options["json"]:
            self.print_json({"operation_run_id": started.run_id, "matched": started.matched})
        else:
            self.say(
                f"operation run {started.run_id}: {started.matched} dead letters. See `manage.py operations {started.run_id}`."
            )

    def _groups(self, options: dict[str, Any]) -> None:
        groups = error_groups.listed(actors.operator(), limit=max(1, options["limit"]))
        if options["json"]:
            self.print_json({"results": [asdict(group) for group in groups]})
            return
        self.say(
            _GROUP_COLUMNS.format(
                group="group", endpoint_key="endpoint", count="letters", error="error"
            )
        )
        for group in groups:
            self.say(
                _GROUP_COLUMNS.format(**asdict(group) | {"error": f"{group.reason}: {group.error}"})
            )

    def _list(self, options: dict[str, Any]) -> None:
        letters = DeadLetterDispatch.objects.filter(status=options["status"])
        if options["group"]:
            letters = letters.filter(error_group=options["group"])
        rows: list[dict[str, Any]] = [
            {
                "id": str(letter.pk),
                "cycle_run_id": str(letter.cycle_id),
                "namespace": letter.namespace,
                "endpoint_key": letter.endpoint_key,
                "status": letter.status,
                "reason": letter.reason,
                "status_code": letter.status_code,
                "attempts": letter.attempts,
                "group": letter.error_group,
                "last_error": letter.last_error,
                "created_at": letter.created_at,
            }
            for letter in letters[: max(1, min(options["limit"], 1000))]
        ]
        if options["json"]:
            self.print_json({"results": rows})
            return
        self.say(
            _COLUMNS.format(
                id="dead letter",
                namespace="namespace",
                endpoint_key="endpoint",
                attempts="attempts",
                error="last error",
            )
        )
        for row in rows:
            self.say(
                _COLUMNS.format(
                    **row,
                    error=f"{row['status_code'] or row['reason']} {row['last_error'][:80]}".replace(
                        "\n", " "
                    ),
                )
            )


def _wanted(options: dict[str, Any]) -> Wanted:
    """Return the letters that are meant. Raises LettersUnclear, and LetterUnknown for what is no id."""
    filtered = bool(options["filter"] or options["group"])
    if sum((bool(options["id"]), filtered, options["all"])) != 1:
        raise LettersUnclear
    if options["id"]:
        if len(set(options["id"])) > bulk.MOST_IDS:
            raise LettersUnclear(f"At most {bulk.MOST_IDS} ids at once. Use --filter or --group.")
        try:
            return [UUID(text) for text in options["id"]]
        except ValueError:
            raise LetterUnknown(
                f"There is no dead letter {' '.join(options['id'])[:100]!r}."
            ) from None
    given: dict[str, Any] = {"group": options["group"]} if options["group"] else {}
    for text in options["filter"]:
        name, _, value = text.partition("=")
        if name not in _READERS or name in given:
            raise LettersUnclear(
                f"--filter {text[:100]!r}: write each of {', '.join(_READERS)} once, as NAME=VALUE."
            )
        try:
            given[name] = _READERS[name](value)
        except ValueError as error:
            raise LettersUnclear(f"--filter {name}: {error}.") from None
    return bulk.Filter(**given)
