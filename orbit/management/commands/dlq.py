"""``manage.py dlq``: the dead letters."""

from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from governance.access import actors
from governance.kernel.commands import OrbitCommand
from governance.kernel.errors import Kind, OrbitError
from orbit.dispatch import dead_letters
from orbit.errors import LetterUnknown
from orbit.models import DeadLetterDispatch
from orbit.states import Letter

_COLUMNS = "{id:<37}{namespace:<17}{endpoint_key:<21}{attempts:<9}{error}"


class ReasonMissing(OrbitError):
    """A deed needs a reason in words, at most 2000 characters."""

    code, kind = "invalid_reason", Kind.INVALID


class Command(OrbitCommand):
    help = "Lists deliveries that were given up, and sends one again."

    def add_arguments(self, parser: CommandParser) -> None:
        deeds = parser.add_subparsers(dest="deed", required=True)
        listed = deeds.add_parser("list", help="List the newest.")
        listed.add_argument("--status", choices=[str(state) for state in Letter], default=str(Letter.OPEN))
        listed.add_argument("--limit", type=int, default=50, help="How many (50; at most 1000).")
        listed.add_argument("--json", action="store_true")
        requeue = deeds.add_parser("requeue", help="Make a new delivery job of one.")
        requeue.add_argument("id")
        requeue.add_argument("--reason", required=True)
        requeue.add_argument("--endpoint", choices=["snapshot", "current"], default="snapshot", help="The endpoint as it was then (snapshot) or as it is now.")
        requeue.add_argument("--new-key", action="store_true", help="A new delivery id, so that the receiver takes it for another delivery.")
        requeue.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["deed"] == "list":
            self._list(options)
            return
        try:
            letter_id = UUID(options["id"])
        except ValueError:
            raise LetterUnknown(f"There is no dead letter {options['id']!r}.") from None
        if not options["reason"].strip() or len(options["reason"]) > 2000:
            raise ReasonMissing
        job = dead_letters.requeue(
            letter_id, actor=actors.operator(), reason=options["reason"], endpoint=options["endpoint"], new_key=options["new_key"]
        )
        if options["json"]:
            self.print_json({"dispatch_job_id": job})
        else:
            self.say(f"dead letter {letter_id} requeued as job {job}")

    def _list(self, options: dict[str, Any]) -> None:
        letters = DeadLetterDispatch.objects.filter(status=options["status"])[: max(1, min(options["limit"], 1000))]
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
                "last_error": letter.last_error,
                "created_at": letter.created_at,
            }
            for letter in letters
        ]
        if options["json"]:
            self.print_json({"results": rows})
            return
        self.say(_COLUMNS.format(id="dead letter", namespace="namespace", endpoint_key="endpoint", attempts="attempts", error="last error"))
        for row in rows:
            self.say(_COLUMNS.format(**row, error=f"{row['status_code'] or row['reason']} {row['last_error'][:80]}".replace("\n", " ")))
