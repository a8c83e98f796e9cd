"""``manage.py dlq``: list, requeue and dismiss dead letters."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from governance.access import actors
from governance.operations.bulk_command import BulkCommand
from governance.rest import queries
from orbit.dispatch import bulk, dead_letters, error_groups
from orbit.dispatch.bulk import LetterFilter, LetterSelection
from orbit.errors import LetterUnknown
from orbit.models import DeadLetterDispatch
from orbit.states import Letter

_COLUMNS = "{id:<37}{namespace:<17}{endpoint_key:<21}{attempts:<9}{error}"
_GROUP_COLUMNS = "{group:<18}{endpoint_key:<21}{count:<9}{error}"
_MAX_LISTED = 1000


class Command(BulkCommand[LetterFilter]):
    help = "Lists dead letters, sends them again, or dismisses them."
    noun = "dead letter"
    filter_type = LetterFilter
    unknown = LetterUnknown
    max_ids = bulk.MAX_IDS
    readers = {
        "namespace": queries.text,
        "endpoint_key": queries.text,
        "group": queries.text,
        "reason": queries.text,
        "cycle_run_id": queries.identifier,
        "created_after": queries.moment,
        "created_before": queries.moment,
    }

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        listing = actions.add_parser("list", help="List the newest.")
        listing.add_argument(
            "--status", choices=[str(state) for state in Letter], default=str(Letter.OPEN)
        )
        listing.add_argument("--group", help="Only those of one group.")
        listing.add_argument(
            "--groups", action="store_true", help="List the groups of the open ones, largest first."
        )
        listing.add_argument(
            "--limit", type=int, default=50, help=f"How many (50; at most {_MAX_LISTED})."
        )
        listing.add_argument("--json", action="store_true")
        requeue = actions.add_parser(
            "requeue", help="Send one again, or many by an operation run with a canary."
        )
        requeue.add_argument(
            "--endpoint",
            choices=["snapshot", "current"],
            default="snapshot",
            help="The endpoint as it was then (snapshot) or as it is configured now (current).",
        )
        requeue.add_argument(
            "--new-key",
            action="store_true",
            help="Use a new delivery id: the receiver takes it for another delivery.",
        )
        dismiss = actions.add_parser(
            "dismiss", help="Close one without sending it, or many by an operation run."
        )
        for action, rate in ((requeue, bulk.RATE), (dismiss, bulk.MAX_RATE)):
            self.add_selection(
                action, matches="Open dead letters", rate=rate, max_rate=bulk.MAX_RATE
            )
            action.add_argument("--group", help="Open dead letters of this group.")
            action.add_argument(
                "--wait",
                action="store_true",
                help="With many: wait for the end; exit with 0 only if none failed.",
            )
            action.add_argument("--reason", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "list":
            self._print_groups(options) if options["groups"] else self._print_letters(options)
            return
        self.require_reason(options)
        if options["group"] is not None:  # an empty one is refused: it must not widen the rest
            options["filter"] = [*options["filter"], f"group={options['group']}"]
        selection = self.read_selection(options)
        if isinstance(selection, list) and len(selection) == 1:
            self._resolve_one(selection[0], options)
        else:
            self._resolve_many(selection, options)

    def _resolve_one(self, letter_id: UUID, options: dict[str, Any]) -> None:
        actor, reason = actors.operator(), options["reason"]
        if options["action"] == "dismiss":
            dead_letters.dismiss(letter_id, actor=actor, reason=reason)
            document: dict[str, Any] = {"id": letter_id, "status": Letter.DISMISSED}
            line = f"dead letter {letter_id} dismissed"
        else:
            job_id = dead_letters.requeue(
                letter_id,
                actor=actor,
                reason=reason,
                endpoint=options["endpoint"],
                new_key=options["new_key"],
            )
            document = {"dispatch_job_id": job_id}
            line = f"dead letter {letter_id} requeued as job {job_id}"
        if options["json"]:
            self.print_json(document)
        else:
            self.say(line)

    def _resolve_many(self, selection: LetterSelection, options: dict[str, Any]) -> None:
        actor, reason, rate = actors.operator(), options["reason"], options["rate"]
        if options["action"] == "dismiss":
            started = bulk.dismiss(selection, actor=actor, reason=reason, rate=rate)
        else:
            started = bulk.requeue(
                selection,
                actor=actor,
                reason=reason,
                rate=rate,
                endpoint=options["endpoint"],
                new_key=options["new_key"],
            )
        self.finish(started, options)

    def _print_groups(self, options: dict[str, Any]) -> None:
        groups = error_groups.largest(actors.operator(), limit=max(1, options["limit"]))
        if options["json"]:
            self.print_json({"results": [asdict(group) for group in groups]})
            return
        self.say_row(
            _GROUP_COLUMNS, group="group", endpoint_key="endpoint", count="letters", error="error"
        )
        for group in groups:
            error = f"{group.reason}: {group.error}"
            self.say_row(_GROUP_COLUMNS, **asdict(group) | {"error": error})

    def _print_letters(self, options: dict[str, Any]) -> None:
        letters = dead_letters.newest(
            actors.operator(),
            status=options["status"],
            group=options["group"],
            limit=max(1, min(options["limit"], _MAX_LISTED)),
        )
        rows = [_to_dict(letter) for letter in letters]
        if options["json"]:
            self.print_json({"results": rows})
            return
        self.say_row(
            _COLUMNS,
            id="dead letter",
            namespace="namespace",
            endpoint_key="endpoint",
            attempts="attempts",
            error="last error",
        )
        for row in rows:
            error = f"{row['status_code'] or row['reason']} {row['last_error'][:80]}"
            self.say_row(_COLUMNS, **row, error=error.replace("\n", " "))


def _to_dict(letter: DeadLetterDispatch) -> dict[str, Any]:
    return {
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
